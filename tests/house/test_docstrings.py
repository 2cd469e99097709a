"""A function with many arguments describes each of them and what it returns; a command's help does it for a command."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer.main

from finnex.cli import app
from tests.helpers.docstrings import Documented, documented, everything

MANY = 4
"""Arguments from which on a docstring describes each of them."""
SOURCE = '''
def add(a, b, c, d):
    """Return the sum.

    Parameters
    ----------
    a, b
        Two numbers.
    c
        A third.
    d
        A fourth.

    Returns
    -------
    int
        Their sum.
    """
    return a + b + c + d
'''


def commands(group: typer.core.TyperGroup) -> Iterator[click.Command]:
    """Yield every command, those of groups too."""
    for one in group.commands.values():
        if isinstance(one, typer.core.TyperGroup):
            yield from commands(one)
        else:
            yield one


COMMANDS = list(commands(typer.main.get_group(app)))
NAMES_OF_COMMANDS = {(one.callback.__module__, one.callback.__name__) for one in COMMANDS}


def with_many_arguments() -> list[Documented]:
    return [
        one
        for one in everything()
        if isinstance(one.node, ast.FunctionDef | ast.AsyncFunctionDef)
        and one.arguments() >= MANY
        and (one.module, one.name) not in NAMES_OF_COMMANDS
    ]


def test_functions_with_many_arguments_describe_each_and_what_they_return() -> None:
    found = with_many_arguments()
    assert len(found) > 150
    assert {str(one): faults for one in found if (faults := one.faults())} == {}


@pytest.mark.parametrize("one", COMMANDS, ids=lambda one: str(one.name))
def test_a_command_describes_each_of_its_options(one: click.Command) -> None:
    assert [option.name for option in one.params if not getattr(option, "help", None)] == []


def test_a_whole_docstring_passes(tmp_path: Path) -> None:
    assert faults_of(SOURCE, tmp_path) == []


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        ("    c\n        A third.\n", "PR01 Parameters {'c'} not documented"),
        ("        A third.\n", 'PR07 Parameter "c" has no description'),
        ("    Returns\n    -------\n    int\n        Their sum.\n", "RT01 No Returns section found"),
        ("        Their sum.\n", "RT03 Return value has no description"),
    ],
)
def test_a_missing_part_is_found(taken: str, said: str, tmp_path: Path) -> None:
    assert taken in SOURCE
    assert faults_of(SOURCE.replace(taken, ""), tmp_path) == [said]


def test_an_unknown_name_and_a_wrong_order_are_found(tmp_path: Path) -> None:
    assert "PR02 Unknown parameters {'e'}" in faults_of(SOURCE.replace("    d\n", "    e\n"), tmp_path)
    moved = SOURCE.replace("a, b\n", "d\n", 1).replace("    d\n        A fourth", "    a, b\n        A fourth")
    assert [fault[:4] for fault in faults_of(moved, tmp_path)] == ["PR03"]


def test_a_generator_says_what_it_yields(tmp_path: Path) -> None:
    source = SOURCE.replace("return a + b + c + d", "for one in (a, b, c, d):\n        yield one")
    assert "No Yields section found" in faults_of(source, tmp_path)
    assert "No Yields section found" not in faults_of(
        source.replace("Returns\n    -------", "Yields\n    ------"), tmp_path
    )


def faults_of(source: str, folder: Path) -> list[str]:
    path = folder / "nowhere.py"
    path.write_text(source)
    return next(documented(source, path, "nowhere")).faults()
