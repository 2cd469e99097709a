"""Rich without its markup: the one console of the command line. `finnex.cli.terminal` imports it only when it prints.

Rich reads `[red]` and `:name:` in every string that it prints, and passes ESC through. Here no string is read: text is
what it says, and a colour is asked for by `coloured`.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console, RenderableType
from rich.progress import ProgressColumn, Task
from rich.protocol import is_renderable
from rich.status import Status
from rich.text import Text

from finnex.plain_text import plain_text


class PlainConsole(Console):
    """A console on which every string, in a table too, is printed as it is; control characters are made visible."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects; a path or another value that is no renderable as its text."""
        super().print(*(one if is_renderable(one) else str(one) for one in objects), **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text of a string: Rich calls this for each that it prints, also for titles and table cells."""
        reading = {"markup": False, "emoji": False, "highlight": False, "highlighter": None}
        return super().render_str(plain_text(text), **(options | reading))

    def status(self, status: RenderableType, **options: Any) -> Status:
        """Return the spinner of a sentence, which Rich would read for markup."""
        return super().status(coloured(status) if isinstance(status, str) else status, **options)


class PlainColumn(ProgressColumn):
    """The column of a progress bar that says what is being done.

    Parameters
    ----------
    field
        Of the task: 'description', or the name of a field of its own.
    """

    def __init__(self, field: str, style: str = "") -> None:
        super().__init__()
        self._field, self._style = field, style

    def render(self, task: Task) -> Text:
        """Return what the field says now."""
        said = task.description if self._field == "description" else task.fields[self._field]
        return coloured(str(said), self._style)


def coloured(text: str, style: str = "") -> Text:
    """Return text in a style of Rich's, such as 'bold red'."""
    return Text(plain_text(text), style)
