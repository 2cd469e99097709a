"""The command line: `finnex COMMAND`. Heavy imports wait inside the commands, so that help is instant.

Exit codes: 0 done; 130 interrupted; 2 something the user can mend, said in one message without a traceback.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import typer

from finnex.cli.audit import audit
from finnex.cli.benchmark import benchmark
from finnex.cli.build import build, init
from finnex.cli.compact import compact
from finnex.cli.demo import demo
from finnex.cli.deploy import deploy
from finnex.cli.evaluate import evaluate
from finnex.cli.explain import explain
from finnex.cli.export import export
from finnex.cli.fetch import fetch
from finnex.cli.inputs import inputs
from finnex.cli.layout import layout
from finnex.cli.look import info, show
from finnex.cli.models import models, predict, promote
from finnex.cli.qa import qa
from finnex.cli.quarantine import quarantine, release
from finnex.cli.repair import repair
from finnex.cli.tables import dataset, features
from finnex.cli.terminal import print_error
from finnex.cli.train import train
from finnex.cli.up import up
from finnex.errors import FinnexError
from finnex.plain_text import plain_text

HELP = """Turn a company's daily tables into images that networks can read, and learn from them.

New here? `finnex demo` builds, trains and reports on real sample data in a few minutes.
Public data: `finnex fetch AAPL --start 2015-01-02`.
With data of your own: `finnex init DIR`, edit DIR/finnex.toml, then `build`, `info`, `show` and `train`.
"""

app = typer.Typer(
    name="finnex",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
COMMANDS = (
    *(demo, init, fetch, inputs, build, info, show, explain, train, evaluate, models, promote, predict, up, deploy),
    *(audit, qa, export, features, dataset, quarantine, release, repair, compact),
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(layout, name="layout")
app.add_typer(benchmark, name="benchmark")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: the console script `finnex`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # it is None where the caller closed it
            stream.reconfigure(errors="backslashreplace")  # a path may hold what the terminal cannot show
    try:
        code = app(args=None if arguments is None else list(arguments), standalone_mode=False)
    except typer.TyperException as error:  # a command line that cannot be used
        usage = io.StringIO()
        getattr(error, "show")(usage)  # noqa: B009  the public base of Click's errors does not declare it
        print(plain_text(usage.getvalue()), end="", file=sys.stderr)
        sys.exit(error.exit_code)
    except typer.Abort:
        print_error("stopped.")
        sys.exit(1)
    except FinnexError as error:
        print_error(error)
        sys.exit(2)
    except OSError as error:
        if not _output_is_broken():
            raise
        print_error(f"the output cannot be written ({error.strerror}). Send it elsewhere.")
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)


def _output_is_broken() -> bool:
    """Return whether the standard output takes no more bytes; else write an empty line before the traceback."""
    try:
        print(flush=True)
    except OSError:
        return True
    return False
