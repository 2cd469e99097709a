"""Display of a training on a terminal: one progress bar, and a line for every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from finnex.cli.terminal import err

if TYPE_CHECKING:
    from finnex.training import OnProgress, Progress

HEADINGS = ("training", "epoch", "loss", "validation loss", "accuracy", "images/s", "waiting", "")
SHOWN_EPOCHS = 12


@contextmanager
def training_display() -> Iterator[OnProgress]:
    """Show a training on stderr for as long as the block lasts: live on a terminal, a line an epoch elsewhere.

    Yields
    ------
    callable
        Takes a `Progress`.
    """
    from rich.console import Group
    from rich.live import Live
    from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar
    from rich.table import Table

    from finnex.cli.plain_console import PlainColumn
    from flows.learning import progress_words

    console = err()
    rows: list[tuple[str, ...]] = []
    bar = Bar(
        *(SpinnerColumn(), PlainColumn("description"), BarColumn(bar_width=30), TaskProgressColumn()),
        *(TimeElapsedColumn(), PlainColumn("what", "dim")),
        console=console,
    )
    task = bar.add_task("Training", total=100, what="")

    def drawn() -> Group:
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for heading in HEADINGS:
            table.add_column(heading, justify="left" if heading in ("training", "") else "right")
        for row in rows[-SHOWN_EPOCHS:]:
            table.add_row(*row)
        return Group(table, bar) if rows else Group(bar)

    with Live(drawn(), console=console, transient=True, auto_refresh=True, refresh_per_second=4) as live:

        def show(at: Progress) -> None:
            done, what = progress_words(at)
            bar.update(task, completed=100 * done, what=what)
            if at.report is not None:
                rows.append(epoch_row(at))
                if not console.is_terminal:
                    console.print(
                        "  ".join(f"{name} {cell}" for name, cell in zip(HEADINGS, rows[-1], strict=True) if cell)
                    )
            live.update(drawn())

        yield show


def epoch_row(at: Progress) -> tuple[str, ...]:
    """Return an epoch's cells, in the order of `HEADINGS`."""
    report = at.report
    assert report is not None, "only an epoch that is done has a row"
    return (
        f"{at.member} of {at.members}", f"{report.epoch} of {at.epochs}", f"{report.loss:.4f}",
        f"{report.validation_loss:.4f}", f"{report.validation_accuracy:.3f}", f"{report.images_per_second:.0f}",
        f"{report.waiting_share:.1%}", "best" if report.best else "",
    )  # fmt: skip
