"""What others do in place of an image: drawn to an array, stored nowhere.

Each function draws pictures of one window of real bars with a peer's own code and returns images a second of one
process. TINTOlib pins pandas below 3, so it is measured only where somebody put it on the path without its pins:
`pip install --no-deps TINTOlib bitstring bitarray`.
"""

from __future__ import annotations

import io
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def rate(draw: Callable[[int], object], images: int) -> float:
    """Return images a second after one image that does not count."""
    draw(0)
    began = time.perf_counter()
    for number in range(images):
        draw(number)
    return images / (time.perf_counter() - began)


def mplfinance_candles(bars: pd.DataFrame, lookback: int) -> float:
    """Candlestick chart with volume by mplfinance, 512 x 512, to an RGB array."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import mplfinance
    from PIL import Image

    def draw(number: int) -> object:
        window = bars.iloc[number : number + lookback]
        buffer = io.BytesIO()
        mplfinance.plot(
            window, type="candle", volume=True, axisoff=True, figsize=(5.12, 5.12),
            savefig={"fname": buffer, "dpi": 100, "format": "rgba"},
        )  # fmt: skip
        plt.close("all")
        return np.asarray(Image.frombytes("RGBA", (512, 512), buffer.getvalue()))

    return rate(draw, 20)


def pyts_fields(bars: pd.DataFrame) -> float:
    """Three Gramian angular fields of 512 sessions by pyts, one a channel, stacked to 512 x 512 x 3."""
    from pyts.image import GramianAngularField

    returns = np.log(bars[["Open", "High", "Close"]]).diff().dropna().to_numpy()
    field = GramianAngularField(image_size=1.0)

    def draw(number: int) -> object:
        return np.stack(
            [field.fit_transform(returns[None, number : number + 512, column])[0] for column in range(3)], axis=-1
        ).astype(np.float32)

    return rate(draw, 60)


def tintolib_images(values: np.ndarray) -> float | None:
    """TINTO's picture of one row of features, 512 x 512, or None where TINTOlib cannot be imported."""
    try:
        from TINTOlib.tinto import TINTO
    except ImportError:
        return None
    table = pd.DataFrame(np.nan_to_num(values)).assign(label=np.arange(len(values)) % 2)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TINTO(problem="classification", pixels=512, blur=False)
        model.fit(table)
        began = time.perf_counter()
        model.transform(table, folder)
        seconds = time.perf_counter() - began
        assert any(Path(folder).rglob("*.png")), "TINTOlib wrote no image: its interface changed"
    return len(values) / seconds


def all_peers(config: Any, lookback: int) -> list[tuple[str, float | None]]:
    """Return each peer's name and rate over the bars of the configuration's first symbol."""
    from finnex.data.features import make_context
    from finnex.data.panel import make_panel
    from finnex.data.tables import read_tables
    from finnex.layout import load_layout

    tables = read_tables(config)
    context = make_context(tables, config, config.symbols[0])
    bars = context.bars.rename(columns=str.capitalize)
    bars.index = pd.DatetimeIndex(context.calendar.days[context.bars.index.to_numpy()])
    panel = make_panel(tables, config, config.symbols[0], load_layout("mega").catalogue.entries)
    return [
        ("mplfinance, candles and volume", mplfinance_candles(bars, lookback)),
        ("pyts, three 512-px Gramian fields", pyts_fields(bars)),
        ("TINTOlib, one row of features", tintolib_images(panel.normalized[-60:])),
    ]
