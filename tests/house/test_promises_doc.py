"""`docs/promises.md` has every sentence on security and on the store, each with tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "promises.md"
SOURCES = {
    "docs/security.md": (ROOT / "docs" / "security.md").read_text(),
    "ARCHITECTURE.md": re.split(r"\n## ", (ROOT / "ARCHITECTURE.md").read_text().split("## The store's promises")[1])[
        0
    ],
}
NOT_TESTED = re.compile(r"— \w.*")
HEADING_WORDS = 3


def sentences(text: str) -> list[str]:
    """Return the sentences of a Markdown text, and the first cells of its tables; no code, no headings."""
    text = re.sub(r"```.*?```", "\n\n", text, flags=re.DOTALL).replace("**", "")
    text = re.sub(r"\n\|[^\n]*\n\|[-|]+\n", "\n\n", text)  # the heads of tables
    found = []
    for part in re.split(r"\n\s*\n|\n(?=\d+\. |- |\||#)", text):
        block = re.sub(r"^(\d+\. |- )", "", re.sub(r"\s+", " ", part.strip()))
        if block.startswith("|"):
            found.append(block.strip("| ").split(" | ")[0] + " |")
        elif not block.startswith("#"):
            found += re.split(r"(?<=[.!?:]) (?=[*`A-Z(])", block)
    return [one for one in found if one.endswith(" |") or len(one.split()) > HEADING_WORDS]


@cache
def promises() -> dict[str, list[tuple[str, str]]]:
    """Return, by source, the beginnings of its sentences and what is said of each."""
    rows: dict[str, list[tuple[str, str]]] = {}
    source = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            source = line.removeprefix("## ")
            rows[source] = []
        elif line.startswith("| ") and source and not line.startswith(("| sentence", "|---")):
            beginning, said = line.strip("| ").rsplit(" | ", 1)
            whole = beginning.removesuffix(" ...")
            rows[source].append((whole if beginning != whole or whole[-1] in ".:" else f"{whole} |", said))
    return rows


@cache
def functions_of(module: str) -> set[str]:
    (file,) = (ROOT / "tests").rglob(f"{module}.py")
    tree = ast.parse(file.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("source", SOURCES)
def test_every_sentence_is_on_the_page_in_its_order_and_no_other(source: str) -> None:
    told = [beginning for beginning, _ in promises()[source]]
    found = sentences(SOURCES[source])
    unknown = [one for one in found if not any(one.startswith(beginning) for beginning in told)]
    gone = [one for one in told if sum(sentence.startswith(one) for sentence in found) != 1]
    assert (unknown, gone) == ([], [])


@pytest.mark.parametrize("source", SOURCES)
def test_every_promise_names_tests_that_exist_or_says_why_none_can(source: str) -> None:
    for beginning, said in promises()[source]:
        named = re.findall(r"`(test_\w+)::(test_\w+)`", said)
        assert named or NOT_TESTED.fullmatch(said), (beginning, said)
        for module, name in named:
            assert name in functions_of(module), (beginning, module, name)
        left = re.sub(r"`test_\w+::test_\w+`", "", said).strip(", ")
        assert not named or not left, (beginning, left)
