"""Text of users reaches the terminal as it is: Rich reads no markup in it, and the terminal obeys nothing in it."""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from finnex.cli import main
from finnex.cli.plain_console import coloured
from finnex.cli.terminal import ask, err, out, print_error, progress_bar
from finnex.plain_text import plain_text

ROOT = Path(__file__).parents[2]
HOSTILE = "[/b]x [red]y[/red] [link=http://attacker.example]z[/link] :smile: \\[bold]"
OBEYED = "\x1b[31m\x07\x08\r\x9b2J\u202egpj.exe\u2066\u200b\u2028\ud800"
SHOWN = r"\x1b[31m\x07\x08\x0d\x9b2J\u202egpj.exe\u2066\u200b\u2028\ud800"


def test_what_a_terminal_obeys_is_made_visible_and_all_else_is_kept() -> None:
    assert plain_text(OBEYED) == SHOWN
    assert plain_text("\U000e0041") == "\\U000e0041"
    for kept in (HOSTILE, "MÜN étude 株 נייר ورق 📈", "two\nlines\tand a tab", ""):
        assert plain_text(kept) == kept


@given(st.text())
def test_no_text_leaves_anything_that_a_terminal_obeys(text: str) -> None:
    shown = plain_text(text)
    obeyed = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert [one for one in shown if unicodedata.category(one) in obeyed and one not in "\n\t"] == []
    assert plain_text(shown) == shown


@pytest.mark.parametrize("colours", [False, True])
def test_consoles_print_strings_paths_tables_and_coloured_words_as_they_are(
    colours: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    if colours:  # Rich then takes the stream for a terminal
        monkeypatch.setenv("FORCE_COLOR", "1")
    table = Table(HOSTILE + " heading", title=HOSTILE + " title", caption=HOSTILE + " caption")
    table.add_row(HOSTILE + OBEYED + " cell")
    for screen in (out(), err()):
        screen.print(HOSTILE + OBEYED, Path(HOSTILE), {"key": OBEYED[:1] + "end"}, markup=True, emoji=True)
        screen.print(table)
        screen.print(coloured(HOSTILE + OBEYED + " coloured"))
        with screen.status(HOSTILE + " status"):
            pass
    with progress_bar(HOSTILE + " bar") as show:
        show(1, 2, HOSTILE + " what")
    told = capsys.readouterr()
    for text in (told.out, told.err):
        for part in (
            f"{HOSTILE}{SHOWN} {Path(HOSTILE)}",
            "heading",
            "title",
            "caption",
            f"{SHOWN} cell",
            f"{SHOWN} coloured",
        ):
            assert part in text
        assert text.count(HOSTILE) >= 6
        assert "\x07" not in text
        assert "\u202e" not in text
    for part in (f"{HOSTILE} status", f"{HOSTILE} bar", f"{HOSTILE} what"):
        assert (part in told.err) == colours, "a spinner and a bar stand on terminals only"


def test_errors_and_questions_are_printed_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_error(HOSTILE + OBEYED)
    assert capsys.readouterr().err == f"finnex: {HOSTILE}{SHOWN}\n"
    asked: list[str] = []
    monkeypatch.setattr("typer.confirm", lambda question: bool(asked.append(question)))
    ask(HOSTILE + OBEYED)
    assert asked == [HOSTILE + SHOWN]


def test_a_command_line_that_cannot_be_used_is_repeated_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["build", f"--{OBEYED[:-1]}[/b]"], [f"{OBEYED[:-1]}[/b]"], ["qa", "--sample", "\x1b[/b]"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        told = capsys.readouterr()
        assert ended.value.code == 2
        assert told.out == ""
        assert "Usage: " in told.err
        assert "\x1b" not in told.err
        assert "\u202e" not in told.err
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0


DOORS = {"finnex/cli/plain_console.py"}
NO_TEXT = {
    ("rich.console", "Group"), ("rich.live", "Live"), ("rich.box", "SIMPLE"), ("rich.table", "Table"),
    ("rich.progress", "BarColumn"), ("rich.progress", "MofNCompleteColumn"), ("rich.progress", "Progress"),
    ("rich.progress", "SpinnerColumn"), ("rich.progress", "TaskProgressColumn"), ("rich.progress", "TimeElapsedColumn"),
}  # fmt: skip
"""Of Rich, what shows no string, or leaves its strings to the console that prints it."""
PAST_THE_DOOR = {"echo", "secho", "echo_via_pager", "confirm", "prompt", "style", "progressbar"}
WRITES = {f"sys.{stream}.{way}" for stream in ("stdout", "stderr") for way in ("write", "buffer")} | {"sys.__stdout__"}
PAST_RENDER_STR = {"out", "log", "input", "control", "rule", "print_exception", "set_window_title", "update_screen"}


def _bypasses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of every place from which text could reach a terminal past the door."""
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names if name.name.split(".")[0] in {"rich", "click"})
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {"rich", "click", "typer"}:
            names = {(node.module or "", one.name) for one in node.names}
            if id(node) not in typing_only and not names <= NO_TEXT:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            plain = all(isinstance(one, ast.Constant) or _is_plain(one) for one in node.args)
            if called == "print" and not plain:
                yield node.lineno, ast.unparse(node)
            if called.startswith("typer.") and called.split(".")[1] in PAST_THE_DOOR and not plain:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in WRITES:
            yield node.lineno, ast.unparse(node)


def _is_plain(node: ast.expr) -> bool:
    """Return whether an argument is `plain_text(...)`, or `json.dumps(...)`, which escapes all but printable ASCII."""
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"plain_text", "json.dumps"}
        and all(word.arg != "ensure_ascii" for word in node.keywords)
    )


def _sources() -> Iterator[tuple[str, ast.Module]]:
    for room in ("finnex", "flows"):
        for path in sorted((ROOT / room).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if name not in DOORS:
                yield name, ast.parse(path.read_text())


def test_no_text_reaches_the_terminal_past_the_door() -> None:
    """Every string that Rich shows comes from `PlainConsole`, every other line from `plain_text`."""
    found = [f"{name}:{line}: {what}" for name, tree in _sources() for line, what in _bypasses(tree)]
    assert found == []


def test_no_command_uses_a_method_of_the_console_that_reads_no_strings() -> None:
    calls = [
        f"{name}:{node.lineno}: {ast.unparse(node)}"
        for name, tree in _sources()
        if name.startswith("finnex/cli/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PAST_RENDER_STR
    ]
    assert calls == []


@pytest.mark.parametrize(
    "source",
    [
        "print(f'{path}')", "print(path, file=sys.stderr)", "typer.echo(path)", "typer.confirm(path)",
        "from rich import print",
        "from rich.text import Text", "from rich.console import Console", "import rich", "sys.stderr.write(path)",
        "from rich.progress import TextColumn", "from typer import echo",
        "typer.echo(json.dumps(x, ensure_ascii=False))",
    ],
)  # fmt: skip
def test_the_search_for_ways_past_the_door_finds_them(source: str) -> None:
    assert list(_bypasses(ast.parse(source)))
