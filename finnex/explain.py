"""Ask a pixel: which feature, which session, which value, from which table, with what weight."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import xarray as xr

from finnex.errors import LayoutError, StoreError, nearest
from finnex.images.blending import apply
from finnex.images.decode import feature_map
from finnex.layout import stored_layout
from finnex.store import ImageStore

AGREES = 1e-6


@dataclass(frozen=True)
class PixelAnswer:
    """What one pixel of one channel shows. Fields that do not apply are None.

    Attributes
    ----------
    section, channel, region
        Where the pixel lies.
    session
        The session whose value it is.
    value
        The stored pixel, 0 where not known.
    normalized_value
        The feature's brightness on that session, before blending, in [0.02, 1].
    original_value
        The same in `unit`.
    weight
        Contrast that the region kept on the image's session.
    feature, meaning, unit, source_table
        The feature that it shows, as the catalogue describes it.
    session_other
        The second session of a pixel that relates two.

    Examples
    --------
    >>> from finnex.store import ImageStore
    >>> answer = explain(ImageStore.open("images.zarr"), "NVDA", date(2015, 3, 2), 0, 0)[0]
    >>> answer.channel, answer.as_dict()["section"]
    ('red', 'macro_economic')
    """

    section: str
    channel: str
    region: str
    feature: str | None
    meaning: str
    session: date | None
    session_other: date | None
    value: float
    normalized_value: float | None
    original_value: float | None
    unit: str | None
    source_table: str | None
    weight: float

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON.

        Returns
        -------
        dict
            Field to its value; a date as YYYY-MM-DD.
        """
        return {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(self).items()}


def explain(store: ImageStore, symbol: str, day: date, row: int, column: int) -> list[PixelAnswer]:
    """Return one answer per channel for a pixel of a published image.

    Parameters
    ----------
    store
        Store of the image.
    symbol
        Symbol of the image.
    day
        Session of the image.
    row, column
        The pixel, from 0 at the top left.

    Returns
    -------
    list of PixelAnswer
        In the order of the layout's channels: region, feature, sessions, and the values that the pixel shows.

    Raises
    ------
    LayoutError
        The pixel lies outside the image.
    StoreError
        The session is not published, its bytes are damaged, or it was drawn from other values than those stored.

    Examples
    --------
    >>> from finnex.store import ImageStore
    >>> answer = explain(ImageStore.open("images.zarr"), "NVDA", date(2015, 3, 2), 0, 0)[0]
    >>> answer.region, answer.as_dict()["unit"]
    ('fear_greed', 'sd')
    """
    layout = stored_layout(store.attrs)
    if not (0 <= row < layout.height and 0 <= column < layout.width):
        raise LayoutError(
            f"pixel row {row}, column {column} lies outside the image; rows run from 0 to {layout.height - 1}, "
            f"columns from 0 to {layout.width - 1}."
        )
    image = store.image(symbol, np.datetime64(day, "D"))
    data = store.open_sessions(symbol)
    here = int(np.searchsorted(data["date"].to_numpy().astype("datetime64[D]"), np.datetime64(day, "D")))
    weights = data["region_weight"].isel(date=here).to_numpy()
    pixels = feature_map(layout)
    answers = []
    for channel_number, channel in enumerate(layout.channels):
        place = (row, column, channel_number)
        region_number, feature = int(pixels.region[place]), int(pixels.feature[place])
        lag, other = int(pixels.lag[place]), int(pixels.lag_other[place])
        region = layout.regions[region_number]
        answer: dict[str, Any] = {
            "section": region.section, "channel": channel, "region": region.name,
            "session": _date(data, here - lag) if lag >= 0 else None,
            "session_other": _date(data, here - other) if other >= 0 else None,
            "value": float(image[place]), "weight": float(weights[region_number]),
        }  # fmt: skip
        if feature >= 0:
            entry = layout.catalogue.entries[feature]
            normalized = _number(data, "feature_normalized", here - lag, feature)
            if region.encoder_name == "heatmap":
                _check_agrees(answer["value"], normalized, answer["weight"], f"{symbol} for {day}")
            answer |= {
                "feature": entry.name, "meaning": entry.meaning, "unit": entry.unit, "source_table": entry.table,
                "normalized_value": normalized,
                "original_value": _number(data, "feature_original", here - lag, feature),
            }  # fmt: skip
        else:
            what = "margin: no session is drawn here" if lag < 0 else "price and volume bars of the session"
            answer |= {
                "feature": None, "meaning": what, "unit": None, "source_table": None if lag < 0 else "prices",
                "normalized_value": None, "original_value": None,
            }  # fmt: skip
        answers.append(PixelAnswer(**answer))
    return answers


def _check_agrees(pixel: float, normalized: float | None, weight: float, image: str) -> None:
    """Refuse to explain a pixel by values it was not drawn from: inputs changed, only other sessions were redrawn."""
    drawn = 0.0 if normalized is None else float(apply(np.array([normalized], dtype=np.float32), weight)[0])
    if abs(pixel - drawn) > AGREES:
        raise StoreError(
            f"the image of {image} shows {pixel:.6g} where the stored features now say {drawn:.6g}: its inputs changed "
            "and it was not in the range that was built since. `finnex build` without --start and --end draws it again."
        )


def _date(data: xr.Dataset, position: int) -> date:
    day: date = data["date"].to_numpy()[position].astype("datetime64[D]").item()
    return day


def _number(data: xr.Dataset, name: str, position: int, feature: int) -> float | None:
    value = float(data[name].isel(date=position, feature=feature))
    return None if np.isnan(value) else value


def of_channel(answers: list[PixelAnswer], channel: str) -> PixelAnswer:
    """Return the answer of a channel by name."""
    for answer in answers:
        if answer.channel == channel:
            return answer
    raise LayoutError(f"channel '{channel}' is unknown. {nearest(channel, [answer.channel for answer in answers])}")
