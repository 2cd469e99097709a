"""The picture of one session of a store: the same on the command line, in a notebook and in the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finnex.layout import stored_layout
from finnex.reporting.figures import show_session
from finnex.store import ImageStore


def session_picture(store: ImageStore, symbol: str, day: np.datetime64, out: Path | None = None) -> bytes:
    """Draw a published image, its channels and a legend of its regions; the title names what is synthetic.

    Parameters
    ----------
    store
        Store of the image.
    symbol
        Symbol of the image.
    day
        Session of the image.
    out
        PNG to write; None writes none.

    Returns
    -------
    bytes
        The PNG.

    Raises
    ------
    StoreError
        That session is not published.
    StoreCorrupt
        The bytes on disk are not those that were published.
    """
    regions = stored_layout(store.attrs).regions if str(store.attrs["layout_toml"]).strip() else ()
    image = store.image(symbol, day)  # first: it refuses a session that is not published
    known, title = session_coverage(store, symbol, day), session_title(store, symbol, day)
    return show_session(image, regions, known, title, out)


def session_title(store: ImageStore, symbol: str, day: np.datetime64) -> str:
    """Return the title of a session's pictures: symbol, date, and the tables that are synthetic."""
    synthetic = ", ".join(store.attrs["synthetic_tables"])
    return f"{symbol}  {day}" + (f"   (synthetic: {synthetic})" if synthetic else "")


def session_coverage(store: ImageStore, symbol: str, day: np.datetime64) -> dict[str, float]:
    """Return by region the share of its values that are known in one session's image; margins are no values."""
    coverage = store.open_images(symbol)["coverage"].sel(date=day)
    return dict(zip(map(str, coverage["region"].to_numpy()), coverage.to_numpy().tolist(), strict=True))
