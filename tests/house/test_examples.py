"""The public face describes what it takes, returns and raises, and shows each of its names in an example that runs."""

from __future__ import annotations

import ast
import doctest
import sys
from datetime import date
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

import finnex
from finnex import errors
from finnex.sample import SYNTHETIC_TABLES
from tests.helpers.docstrings import EXAMPLE, SECTIONS, Documented, documented
from tests.helpers.face import face

FACE, METHODS = face()
CLASSES = {str(one): one for one in FACE}
OPTIONS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
FURTHER = ("finnex.config.inputs.quotes_of",)
"""Examples of other functions."""
NAMES = [*map(str, FACE), *FURTHER]
CONFIG = """\
symbols = ["NVDA"]
start = {start}
end = {end}
[store]
path = "images.zarr"
[mlflow]
uri = "http://127.0.0.1:9"   # nothing listens there
[inputs]
synthetic = {synthetic}
"""


@pytest.fixture(scope="session")
def folder(sample_inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which examples run: `finnex.toml`, `images.zarr` of twelve sessions, two CSV files."""
    made = tmp_path_factory.mktemp("examples")
    text = CONFIG.format(start=date(2015, 3, 2), end=date(2015, 3, 17), synthetic=list(SYNTHETIC_TABLES))
    text += "".join(f"{name} = '{path}'\n" for name, path in sample_inputs.items())
    (made / "finnex.toml").write_text(text)
    prices = pd.read_csv(sample_inputs["prices"])
    own = prices[(prices["symbol"] == "NVDA") & prices["date"].between("2014-06-02", "2015-05-29")]
    own.drop(columns="symbol").to_csv(made / "enhanced.csv", index=False)
    records = pd.read_csv(sample_inputs["sentiment"])
    ours = {"source": "platform", "provider": "source", "score": "sentiment_score", "engagement": "engagement_score"}
    records = records[(records["symbol"] == "NVDA") & records["timestamp"].between("2014-06-02", "2015-05-29")]
    records.drop(columns="symbol").rename(columns=ours).assign(text="").to_csv(made / "sentiment.csv", index=False)
    assert finnex.build(finnex.load_config(made / "finnex.toml")).built == 12
    return made


def example_of(one: Documented) -> str:
    return "\n".join(one.doc()["Examples"])


def raised_by(one: Documented) -> set[str]:
    """Return the errors of FinNeX that a function raises itself."""
    found = {
        node.exc.func.id
        for node in ast.walk(one.node)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
    }
    return {name for name in found if isinstance(getattr(errors, name, None), type)}


def named(one: Documented) -> set[str]:
    return {name for group in one.doc()["Raises"] for name in group.type.replace(" ", "").split(",")}


def faults(one: Documented) -> list[str]:
    """Say what the docstring of a function, method or class of the face lacks."""
    if one.is_property():
        return [] if one.doc()["Summary"] else ["no summary"]
    wrong = one.faults(SECTIONS)
    if isinstance(one.node, ast.ClassDef):
        described = {name for group in one.doc()["Attributes"] for name in group.name.split(", ")}
        own = [node.target for node in one.node.body if isinstance(node, ast.AnnAssign)]
        fields = {target.id for target in own if isinstance(target, ast.Name) and not target.id.startswith("_")}
        if missing := sorted(fields - described):
            wrong.append(f"no attribute is described: {', '.join(missing)}")
    elif missing := sorted(raised_by(one) - named(one)):
        wrong.append(f"Raises lacks {', '.join(missing)}")
    return wrong


def is_warning(one: Documented) -> bool:
    """A warning is raised, not called."""
    return isinstance(one.node, ast.ClassDef) and "UserWarning" in map(ast.unparse, one.node.bases)


@pytest.mark.parametrize("one", FACE, ids=str)
def test_the_face_has_every_section(one: Documented) -> None:
    whole = [one, *METHODS[str(one)]]
    assert {str(each): found for each in whole if (found := faults(each))} == {}


@pytest.mark.parametrize("one", [one for one in FACE if not is_warning(one)], ids=str)
def test_the_face_has_an_example_of_each_name(one: Documented) -> None:
    assert one.faults([EXAMPLE]) == []
    shown: dict[str, str] = {}
    for each in METHODS[str(one)]:
        owner = CLASSES.get(str(each).rpartition(".")[0], one)  # the class, or one that it inherits from
        shown[each.node.name] = shown.get(each.node.name, "") + example_of(one) + example_of(owner) + example_of(each)
    shown.pop("forward", None)  # a network is called
    assert [name for name, text in shown.items() if f".{name}" not in text] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    module, _, attribute = name.rpartition(".")
    thing = getattr(import_module(module), attribute)
    known = vars(sys.modules[module]) | {"finnex": finnex}
    for one in doctest.DocTestFinder().find(thing, name, globs=known):
        assert doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(one).failed == 0, one.name


SOURCE = '''
class Pair:
    """Two numbers.

    Attributes
    ----------
    first, second
        The numbers.

    Examples
    --------
    >>> Pair(1, 2).first
    1
    """

    first: int
    second: int

    def ratio(self):
        """Return the first over the second.

        Returns
        -------
        float
            The ratio.

        Raises
        ------
        ConfigError
            The second is 0.
        """
        if self.second == 0:
            raise ConfigError("the second is 0. Give another.")
        return self.first / self.second
'''


@pytest.mark.parametrize(
    ("taken", "put", "said"),
    [
        ("", "", []),
        ("first, second\n", "first\n", ["no attribute is described: second"]),
        ("ConfigError\n            The", "ValueError\n            The", ["Raises lacks ConfigError"]),
        (
            "        Returns\n        -------\n        float\n            The ratio.\n\n",
            "",
            ["RT01 No Returns section found"],
        ),
    ],
)
def test_a_missing_part_of_the_face_is_found(taken: str, put: str, said: list[str], tmp_path: Path) -> None:
    path = tmp_path / "pair.py"
    path.write_text(SOURCE.replace(taken, put) if taken else SOURCE)
    assert taken in SOURCE
    assert [fault for one in documented(path.read_text(), path, "pair") for fault in faults(one)] == said
