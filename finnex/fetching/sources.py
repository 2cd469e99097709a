"""The sources: what each is called, what it asks of its users, and how often it may be asked."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from finnex.errors import FetchError

KEY, IDENTITY = "FRED_API_KEY", "EDGAR_IDENTITY"
NAME_AND_MAIL = re.compile(r"[^\s@]+.*\s<?[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+>?")


@dataclass(frozen=True)
class Source:
    """A public source.

    Attributes
    ----------
    name
        What the command line calls it.
    title
        What messages call it.
    libraries
        Modules that read its answers.
    seconds
        Least time between two requests.
    terms
        What its owner asks, in one sentence, with the address of the terms.
    """

    name: str
    title: str
    libraries: tuple[str, ...]
    seconds: float
    terms: str


YAHOO: Final = Source(
    "yahoo", "Yahoo Finance", ("yfinance", "curl_cffi"), 0.5,
    "For personal use, not to be redistributed; Yahoo's terms: https://legal.yahoo.com/us/en/yahoo/terms/otos/",
)  # fmt: skip
FRED: Final = Source(
    "fred", "FRED", ("fredapi", "requests"), 0.5,
    "This product uses the FRED(R) API but is not endorsed or certified by the Federal Reserve Bank of St. Louis; "
    "series of third parties keep their owners' terms: https://fred.stlouisfed.org/docs/api/terms_of_use.html",
)  # fmt: skip
SEC: Final = Source(
    "sec", "the SEC's EDGAR", ("edgar", "requests"), 0.15,
    "Public information, free to use; at most ten requests a second, with a name and an e-mail address: "
    "https://www.sec.gov/about/webmaster-frequently-asked-questions",
)  # fmt: skip
SOURCES: Final = {source.name: source for source in (YAHOO, FRED, SEC)}


def check_ready(wanted: Collection[str], *, offline: bool) -> None:
    """Check that the libraries of the sources are installed and, where they are asked, that they may be.

    Parameters
    ----------
    wanted
        Names of sources.
    offline
        Nothing is asked: neither is needed.

    Raises
    ------
    FetchError
        With a line for everything that is missing, and its remedy.
    """
    lines = []
    modules = dict.fromkeys(("tenacity", *(one for name in wanted for one in SOURCES[name].libraries)))
    if missing := [module for module in modules if find_spec(module) is None]:
        lines.append(
            f"`finnex fetch` needs libraries that are not installed ({', '.join(missing)}). Install them: pip install "
            "'finnex[fetch]'."
        )
    identity = os.environ.get(IDENTITY, "").strip()
    unusual = not (identity.isascii() and identity.isprintable())
    keyless = not os.environ.get(KEY, "").strip()
    unnamed = unusual or not NAME_AND_MAIL.fullmatch(identity)
    refused = [source.name for source, lacks in ((FRED, keyless), (SEC, unnamed)) if lacks]
    others = [f"--source {name}" for name in wanted if name not in refused]  # what can be asked as it is
    if not offline and FRED.name in wanted and keyless:
        lines.append(
            f"FRED asks for a key, and {KEY} is not set in the environment. Get one for free at "
            f"https://fred.stlouisfed.org/docs/api/api_key.html and set it{_or_leave_out(others, FRED)}."
        )
    if not offline and SEC.name in wanted and unusual:
        lines.append(
            f"{IDENTITY} in the environment is sent to the SEC in a header of HTTP, which holds ASCII characters only. "
            f'Write the name without accents, such as {IDENTITY}="Jose Nunez jose.nunez@example.org".'
        )
    elif not offline and SEC.name in wanted and unnamed:
        lines.append(
            f"The SEC asks programs for a name and an e-mail address, and {IDENTITY} in the environment holds none. "
            f'Set it, such as {IDENTITY}="Jane Doe jane.doe@example.org"{_or_leave_out(others, SEC)}.'
        )
    if lines:
        raise FetchError("\n".join(lines))


def _or_leave_out(given: list[str], source: Source) -> str:
    return f", or leave {source.title} out with {' '.join(given)}" if given else ""
