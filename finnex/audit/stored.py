"""The published store itself: images that readers see, against images drawn again from tables cut at the decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.compare import image_of
from finnex.audit.report import Finding
from finnex.audit.timing import Timing
from finnex.config import HORIZONS, LabelSettings
from finnex.data.features import symbol_bars
from finnex.data.panel import Panel
from finnex.images.blending import region_weights
from finnex.images.render import Renderer
from finnex.pipeline import window_hashes
from finnex.store import READY, ImageStore

NEIGHBORS = (1, 2, 3, 5, 20, -1, -2)
"""Sessions from the own one whose image is looked for where the stored one is another."""
COMPARED_AS_THEY_ARE = 36
"""Further images that are compared with the drawing from the tables as they are, without a rebuild."""
MOST_NAMED = 3
"""Images that findings name; more of them add no information."""
RELATIVE, ABSOLUTE = 1e-4, 1e-6  # of stored float32 outcomes
REBUILD = "Build the store again with `finnex build --force`, and audit it again; if this stays, report it as a defect."


@dataclass(frozen=True)
class StoredAudit:
    """What was seen of a symbol's published images.

    Attributes
    ----------
    compared
        Images drawn again and compared.
    other_inputs
        Images among them that were drawn from other inputs than the tables given, so that nothing is shown by them.
    outcomes
        Stored outcomes of labels that were computed again.
    """

    findings: list[Finding]
    compared: int
    other_inputs: int
    outcomes: int


def audit_stored(
    timing: Timing, store: ImageStore, count: int, rng: np.random.Generator, tick: Callable[[str], None]
) -> StoredAudit:
    """Draw sampled published images again from tables cut at their decision time, and compare what readers see.

    Parameters
    ----------
    count
        Images to draw again, of the published ones of the symbol.
    """
    run, symbol, full = timing.run, timing.symbol, timing.full
    if symbol not in store.symbols or str(store.attrs["layout_hash"]) != run.layout.hash:
        return StoredAudit([], 0, 0, 0)
    state = store.state(symbol)
    ready = np.flatnonzero(state.status == READY)
    position = full.calendar.index_of(state.days[ready])
    ready, position = ready[position >= 0], position[position >= 0]
    same = state.input_hash[ready] == window_hashes(full, run.layout, region_weights(full, run.layout))[position]
    renderer = Renderer(run.layout)
    findings, other_inputs = [], 0
    order = rng.permutation(len(ready))[: count + COMPARED_AS_THEY_ARE]
    order = order[~np.isin(ready[order], store.damaged(symbol, ready[order].tolist()))]  # a matter of its own
    chosen, others = np.sort(order[:count]), np.sort(order[count:])
    for number in chosen:
        here, day = int(position[number]), full.calendar.days[position[number]]
        tick(f"{symbol} {day}, the published image")
        cut = {table: one.first(len(one)) for table, one in timing.alterations(here, "cut").items()}
        rebuilt = timing.rebuild(cut, here)
        seen = store.image(symbol, day)
        if rebuilt.value is not None and np.array_equal(image_of(renderer, rebuilt.value, here), seen):
            continue
        shift = _session_shown(renderer, full, here, seen)
        if shift is None and not same[number]:
            other_inputs += 1
            continue
        findings.append(_image_finding(symbol, day.item(), shift, rebuilt.error))
        if len(findings) >= MOST_NAMED:
            break
    for number in others[same[others]]:  # cheap: a session's cause was asked of others, here it is the drawing
        here, seen = int(position[number]), store.image(symbol, full.calendar.days[position[number]])
        if len(findings) >= MOST_NAMED:
            break
        if not np.array_equal(image_of(renderer, full, here), seen):
            shift = _session_shown(renderer, full, here, seen)
            findings.append(_image_finding(symbol, full.calendar.days[here].item(), shift, ""))
    outcomes, wrong = _outcomes(timing, store, ready[same], position[same])
    compared = len(chosen) + int(same[others].sum())
    return StoredAudit([*findings, *wrong], compared, other_inputs, outcomes)


def _session_shown(renderer: Renderer, full: Panel, here: int, seen: npt.NDArray[np.float32]) -> int | None:
    for shift in NEIGHBORS:
        if 0 <= here + shift < len(full.calendar) and np.array_equal(image_of(renderer, full, here + shift), seen):
            return shift
    return None


def _image_finding(symbol: str, day: date, shift: int | None, error: str) -> Finding:
    if shift is None:
        kind, what = "stored_image_differs", "is not the image that its tables give, cut at its decision time"
        what += f" (the rebuild failed: {error})" if error else ""
    else:
        kind = "stored_image_of_another_session"
        side = "after" if shift > 0 else "before"
        what = f"is the image of {abs(shift)} session{'' if abs(shift) == 1 else 's'} {side}"
    return Finding(kind, "store", (), f"{symbol} {day}: the published image {what}.", REBUILD, symbol, day)


def _outcomes(
    timing: Timing, store: ImageStore, rows: npt.NDArray[np.intp], position: npt.NDArray[np.intp]
) -> tuple[int, list[Finding]]:
    """Compute the stored outcomes again from the bars."""
    symbol, days = timing.symbol, timing.full.calendar.days
    bars = symbol_bars(timing.run.tables, symbol, timing.full.calendar).reindex(range(len(days)))
    names = store.array_names(symbol)
    compared, findings = 0, []
    for kind in ("price_movement", "triple_barrier"):
        if f"return_{kind}" not in names:
            continue
        stored = store.values(symbol, f"return_{kind}")
        for column, horizon in enumerate(HORIZONS):
            own = stored[rows, column].astype(np.float64)
            expected = outcomes_of(kind, bars, position, horizon, timing.run.config.labels)
            both = ~np.isnan(own) & ~np.isnan(expected)
            wrong = both & ~np.isclose(own, expected, rtol=RELATIVE, atol=ABSOLUTE)
            compared += int(both.sum())
            if wrong.any():
                at = int(np.flatnonzero(wrong)[0])
                text = (
                    f"{symbol}: {int(wrong.sum())} of {int(both.sum())} stored outcomes of {kind} over {horizon} "
                    f"sessions are not those of the bars, such as {days[position[at]]}: {own[at]:.6f}, the bars give "
                    f"{expected[at]:.6f}."
                )
                label = (f"label_{kind}[{horizon}]",)
                findings.append(Finding("stored_label_differs", "store", label, text, REBUILD, symbol))
    return compared, findings


def outcomes_of(
    kind: str, bars: pd.DataFrame, position: npt.NDArray[np.intp], horizon: int, settings: LabelSettings
) -> npt.NDArray[np.float64]:
    """Return the outcomes of some sessions, implemented a second time, independently of `finnex.data.labels`.

    Parameters
    ----------
    bars
        (sessions,) open, high, low, close; NaN where there is no bar.

    Notes
    -----
    Entry at the open of t + 1. `price_movement` leaves at the close of t + h; `triple_barrier` (Lopez de Prado 2018,
    3.4) at the first touch of entry x (1 +- width), width = barrier_volatility x sd of the log returns up to t x
    sqrt(h), the stop before the gain, at the open where the bar opens beyond.
    """
    o, h, l, c = (bars[name].to_numpy(dtype=np.float64) for name in ("open", "high", "low", "close"))
    step = pd.Series(np.diff(np.log(c), prepend=np.nan))
    deviation = step.rolling(settings.volatility_sessions, min_periods=20).std().to_numpy()
    found = np.full(len(position), np.nan)
    for number, t in enumerate(position.tolist()):
        last = t + horizon
        if last >= len(c) or np.isnan(c[t : last + 1]).any() or np.isnan(deviation[t]):
            continue
        entry, leave = o[t + 1], c[last]
        width = settings.barrier_volatility * deviation[t] * np.sqrt(horizon)
        for day in range(t + 1, last + 1) if kind == "triple_barrier" else ():
            if l[day] <= entry * (1 - width):
                leave = min(entry * (1 - width), o[day])
                break
            if h[day] >= entry * (1 + width):
                leave = max(entry * (1 + width), o[day])
                break
        found[number] = leave / entry - 1
    return found
