"""Which companies a company is compared with: those named, those of its industry, or all others of a small panel."""

from __future__ import annotations

from collections.abc import Collection

from finnex.config import Config
from finnex.data.universe import Universe

MOST_PEERS = 50
"""Companies of a panel that are peers of each other where none are named. In a larger one the features of each would
follow from the rows of all: a company that is added would change all images, and work would grow with the square."""


def peers_of(config: Config, symbol: str, priced: Collection[str], universe: Universe | None = None) -> tuple[str, ...]:
    """Return the symbols that features of a company compare it with, sorted.

    Parameters
    ----------
    config
        Configuration: `peers` names them; `sectors` are reference funds and no companies.
    symbol
        The company.
    priced
        Symbols that have bars.
    universe
        The table of companies, where there is one.

    Returns
    -------
    tuple of str
        `config.peers`; or without them the companies that are of its industry at any time, where the table of companies
        has industries; or every other company that has bars (of the table of companies, where there is one), where
        they are at most `MOST_PEERS`. Without the company itself.

    Examples
    --------
    >>> from finnex.config import Config
    >>> config = Config.model_construct(peers=(), sectors=("XLK",))
    >>> peers_of(config, "A", {"A", "B", "C", "XLK"})
    ('B', 'C')
    """
    named: Collection[str] = config.peers
    if not named and universe is not None:
        if universe.has_industries:
            return tuple(sorted(universe.peers(symbol).intersection(priced).difference(config.sectors)))
        priced = [name for name in universe.symbols if name in priced]
    if not named and len(priced) <= MOST_PEERS + len(config.sectors):  # else the set would be made for each company
        companies = set(priced).difference(config.sectors)
        named = companies if len(companies) <= MOST_PEERS else ()
    return tuple(name for name in sorted(named) if name != symbol)


def no_peers(config: Config, priced: Collection[str], universe: Universe | None = None) -> list[str]:
    """Say that features relative to peers are not known, where a large panel names none."""
    companies = len(set(priced).difference(config.sectors))
    if config.peers or companies <= MOST_PEERS or (universe is not None and universe.has_industries):
        return []
    return [
        f"peers: the prices have {companies} companies and no peers are named, so features relative to peers are not "
        f"known (up to {MOST_PEERS} companies are peers of each other). Give industries in a table of companies, or "
        'name some: peers = ["SYMBOL", ...].'
    ]
