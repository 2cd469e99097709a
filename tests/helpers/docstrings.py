"""Read docstrings from the source, and hold their sections against what numpydoc's validator knows."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from numpydoc.docscrape import NumpyDocString
from numpydoc.hooks.validate_docstrings import AstValidator
from numpydoc.validate import validate

ROOT = Path(__file__).parents[2]
PACKAGES = ("finnex", "flows")
SECTIONS = ("PR01", "PR02", "PR03", "PR07", "RT01", "RT03")
"""Arguments: none missing, none unknown, in the signature's order, each described; what is returned, described."""
EXAMPLE = "EX01"
Function = ast.FunctionDef | ast.AsyncFunctionDef


class _Validator(AstValidator):
    """numpydoc's validator, which reads a function's file again for each of its checks; the syntax tree is enough."""

    @property
    def method_source(self) -> str:
        return ast.unparse(self.node)


@dataclass(frozen=True)
class Documented:
    """A function, method or class, with the module or class that it is in."""

    module: str
    name: str
    node: Function | ast.ClassDef
    parent: ast.AST
    path: Path

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"

    def doc(self) -> NumpyDocString:
        return NumpyDocString(ast.get_docstring(self.node) or "")

    def arguments(self) -> int:
        """Count what a caller may give; neither self nor cls."""
        node = self.node
        assert isinstance(node, Function)
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        bound = isinstance(self.parent, ast.ClassDef) and "staticmethod" not in self.decorators()
        return sum(one is not None for one in given) - bound

    def decorators(self) -> set[str]:
        return {ast.unparse(one) for one in self.node.decorator_list}

    def is_property(self) -> bool:
        return bool(self.decorators() & {"property", "cached_property"})

    def faults(self, checks: Collection[str] = SECTIONS) -> list[str]:
        """Say what its docstring lacks of some of numpydoc's checks, and of the section on what is yielded."""
        found = validate(str(self), _Validator, ast_node=self.node, filename=self.path, ancestry=[self.parent])
        wrong = [f"{code} {words}" for code, words in found["errors"] if code in checks]
        if "RT01" in checks and isinstance(self.node, Function) and yields(self.node) and not self.doc()["Yields"]:
            wrong.append("No Yields section found")
        return wrong


def yields(function: Function) -> bool:
    """Return whether a function is a generator; functions inside it do not count."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return False


def documented(source: str, path: Path, module: str) -> Iterator[Documented]:
    """Yield the public functions, methods and classes of a module's source, none inside a function."""
    waiting: list[tuple[ast.AST, str]] = [(ast.parse(source), "")]
    while waiting:
        parent, prefix = waiting.pop(0)
        for node in getattr(parent, "body", ()):
            if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
                continue
            one = Documented(module, f"{prefix}{node.name}", node, parent, path)
            if "overload" not in one.decorators():
                yield one
            if isinstance(node, ast.ClassDef):
                waiting.append((node, f"{prefix}{node.name}."))


def everything() -> Iterator[Documented]:
    """Yield what is public in the packages."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield from documented(path.read_text(encoding="utf-8"), path, module)
