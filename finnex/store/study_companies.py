"""The companies of a configuration of which a store has sessions: what a study, a prediction or a table is made of."""

from __future__ import annotations

from finnex.config import Config
from finnex.store.image_store import ImageStore


def study_companies(config: Config, store: ImageStore) -> tuple[str, ...]:
    """Return the configured companies without those that no build had to lay out.

    With a table of companies these were members on no day that was drawn; with `on_bad_company = "leave out"` they were
    left out from the first.

    Parameters
    ----------
    config
        Symbols, and whether some of them may be absent.
    store
        The store that they are read from.

    Returns
    -------
    tuple of str
        In the order of the configuration; all of them where none may be absent, or the store has none: reading them
        then says which one it lacks.
    """
    if config.on_bad_company != "leave out" and not config.inputs.companies:
        return config.symbols
    held = set(store.symbols)
    return tuple(symbol for symbol in config.symbols if symbol in held) or config.symbols
