"""Quality checks of a store: each with its value, its limit, and what it means in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from finnex.audit.stored_images import audit_stored, what_was_compared
from finnex.audit.timing import Timing
from finnex.data.panel import make_panel
from finnex.errors import StoreError
from finnex.layout import Section, stored_layout
from finnex.pipeline import Run
from finnex.pipeline.region_inputs import NEWEST_SESSIONS, RegionInputs, region_inputs
from finnex.store import LABEL_WORDS, READY, ImageStore

LOWEST_KNOWN = 0.02  # what the renderer gives to the smallest known value; no pixel may lie between 0 and it
SMALLEST_DIFFERENCE = 0.05  # mean absolute pixel difference of two sessions that a reader can distinguish
SMALLEST_DEVIATION = 0.01  # of a cell's pixels over sessions, below which the cell carries nothing
NAMED = 5
"""Most damaged images that are named."""
SMALLEST_CLASS = 0.05
LEAST_KNOWN = 0.5
NO_INPUT = "no input"
"""In the place of a limit, where no table feeds what is checked: the check passes, and its meaning says why."""
REDRAWN_SYMBOLS = 2
SPECIFICATION_SECTIONS = (
    ("macro_economic", 0, 171),
    ("behavioral_technical", 171, 342),
    ("fundamental_competitive", 342, 512),
)


@dataclass(frozen=True)
class Check:
    """One check: what was measured, against which limit, and why it matters.

    Attributes
    ----------
    value
        The measurement; NaN where there was nothing to measure.
    limit
        The bound in words, such as `>= 0.05`.
    """

    name: str
    passed: bool
    value: float
    limit: str
    meaning: str


@dataclass(frozen=True)
class _Sample:
    """Sessions looked at, and each one's successor: images (n, y, x, channel), float32."""

    images: npt.NDArray[np.float32]
    following: npt.NDArray[np.float32]


def _sections(store: ImageStore) -> tuple[Section, ...]:
    if not str(store.attrs["layout_toml"]).strip():
        return tuple(Section(name, (first, stop)) for name, first, stop in SPECIFICATION_SECTIONS)
    return stored_layout(store.attrs).sections


def _take(store: ImageStore, damaged: Mapping[str, npt.NDArray[np.intp]], sample: int, seed: int) -> _Sample:
    """Read pairs of adjacent published and undamaged sessions, spread over symbols and time."""
    pairs = []
    for symbol in store.symbols:
        ready = np.setdiff1d(np.flatnonzero(store.state(symbol).status == READY), damaged[symbol])
        pairs += [(symbol, int(i)) for i, j in pairwise(ready) if j == i + 1]
    if len(pairs) < 2:
        raise StoreError(
            f"{store.path} has {len(pairs)} pairs of adjacent published sessions; quality needs 2 or more. "
            "Build more sessions."
        )
    chosen = np.random.default_rng(seed).permutation(len(pairs))[:sample]
    arrays = {symbol: store.image_array(symbol) for symbol in store.symbols}
    images = [np.asarray(arrays[symbol][i : i + 2], dtype=np.float32) for symbol, i in (pairs[k] for k in chosen)]
    both = np.stack(images)
    return _Sample(both[:, 0], both[:, 1])


def _pixel_checks(seen: npt.NDArray[np.float32], shown: npt.NDArray[np.bool_], without: str) -> list[Check]:
    outside = float(np.mean(~((seen >= 0) & (seen <= 1))))
    reserved = float(np.mean((seen > 0) & (seen < LOWEST_KNOWN - 1e-6)))
    known = float(np.mean(seen[:, shown] != 0)) if shown.any() else 0.0
    return [
        Check("pixel range", outside == 0, outside, "= 0", "share of pixels that are not numbers in [0, 1]"),
        Check(
            "zero means not known", reserved == 0, reserved, "= 0",
            f"share of pixels between 0 and {LOWEST_KNOWN}: neither known nor marked unknown",
        ),
        Check(
            "known pixels", known >= LEAST_KNOWN, known, f">= {LEAST_KNOWN}",
            f"share of known values in the pixels that any of these sessions shows, {np.mean(shown):.0%} of the image"
            f"{without}",
        ),
    ]  # fmt: skip


def _cell_checks(
    seen: npt.NDArray[np.float32], shown: npt.NDArray[np.bool_], sections: Sequence[Section], inputs: RegionInputs
) -> list[Check]:
    checks = []
    for section in sections:
        rows = slice(*section.rows)
        for number, channel in enumerate(inputs.channels):
            name, limit = f"alive: {section.name} {channel}", f">= {SMALLEST_DEVIATION}"
            if why := inputs.why_empty(section.name, channel):
                checks.append(Check(name, True, 0.0, NO_INPUT, why))
                continue
            own = seen[:, rows, :, number][:, shown[rows, :, number]]
            deviation = float(own.std(axis=0).mean()) if own.size else 0.0
            meaning = "standard deviation of a pixel over sessions, mean of the cell's pixels that any session shows"
            checks.append(Check(name, deviation >= SMALLEST_DEVIATION, deviation, limit, meaning))
    return checks


def _variety_checks(
    sample: _Sample, shown: npt.NDArray[np.bool_], sections: Sequence[Section], inputs: RegionInputs, seed: int
) -> list[Check]:
    n = len(sample.images)
    partner = np.roll(np.random.default_rng(seed + 1).permutation(n), 1)
    order = np.roll(partner, -1)  # a cycle through all sessions: no session meets itself
    checks = []
    for section in sections:
        names = f"variety: {section.name}", f"continuity: {section.name}"
        if why := inputs.why_empty(section.name):
            checks += [Check(name, True, 0.0, NO_INPUT, why) for name in names]
            continue
        rows = slice(*section.rows)
        here, there = sample.images[order, rows], sample.images[partner, rows]
        random = _difference(here, there, shown[rows])
        near = _difference(sample.images[:, rows], sample.following[:, rows], shown[rows])
        checks.append(
            Check(
                names[0], random > SMALLEST_DIFFERENCE, random, f"> {SMALLEST_DIFFERENCE}",
                "mean absolute difference of two random sessions, of the pixels that any session shows",
            )
        )  # fmt: skip
        checks.append(
            Check(
                names[1], near < random, near / random if random else float("nan"), "< 1",
                "difference of adjacent sessions over that of random ones: time must show",
            )
        )  # fmt: skip
    return checks


def _difference(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32], shown: npt.NDArray[np.bool_]) -> float:
    """Return the mean absolute difference of the pixels that are shown; 0 where none is."""
    found = np.abs(one - other).mean(axis=0)[shown]
    return float(found.mean()) if found.size else 0.0


def _store_checks(store: ImageStore, damaged_at: Mapping[str, npt.NDArray[np.intp]]) -> list[Check]:
    duplicates = published = 0
    damaged: list[str] = []
    for symbol in store.symbols:
        state = store.state(symbol)
        crc = state.image_crc[state.status == READY]
        published += len(crc)
        duplicates += len(crc) - len(np.unique(crc))
        damaged += [f"{symbol} {day}" for day in state.days[damaged_at[symbol]]]
    broken = [f"{symbol}/{name}" for symbol in store.symbols for name in store.broken(symbol)]
    which = "published images whose bytes on disk are not those written"
    if damaged:
        which += f": {', '.join(damaged[:NAMED])}" + (f" and {len(damaged) - NAMED} more" * (len(damaged) > NAMED))
    return [
        Check("published sessions", published > 0, published, "> 0", "images that readers can see, all symbols"),
        Check("checksums", not damaged, len(damaged), "= 0", which),
        Check("small arrays", not broken, len(broken), "= 0", _which_broken(broken)),
        Check("duplicates", duplicates == 0, duplicates, "= 0", "images that equal an earlier one of their symbol"),
    ]  # fmt: skip


def _which_broken(broken: Sequence[str]) -> str:
    meaning = "arrays of states, features, labels and predictions with a chunk that is gone or damaged"
    if not broken:
        return meaning
    more = f" and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
    return f"{meaning}: {', '.join(broken[:NAMED])}{more}. `finnex repair --dry-run` says what can be done"


def _coverage_checks(inputs: RegionInputs) -> list[Check]:
    """Look for inputs that have ended: a region whose newest sessions have far fewer known values than the others.

    A region that was never known has no input; that is a choice, and its value of 0 says so.
    """
    checks = []
    for name, mean, now in zip(inputs.names, inputs.known, inputs.newest, strict=True):
        if why := inputs.why(name):
            checks.append(Check(f"coverage: {name}", True, 0.0, NO_INPUT, why))
            continue
        if mean == 0:
            checks.append(Check(f"coverage: {name}", False, 0.0, "> 0", inputs.fault(name)))
            continue
        meaning = f"share of the region known in the newest {NEWEST_SESSIONS} sessions, against half of its mean"
        checks.append(Check(f"coverage: {name}", bool(now >= mean / 2), float(now), f">= {mean / 2:.2f}", meaning))
    return checks


def _label_checks(store: ImageStore, kind: str, horizon: int) -> list[Check]:
    labels = []
    for symbol in store.symbols:
        data = store.open_images(symbol)
        if f"label_{kind}" in data and horizon in data["horizon"].to_numpy():
            labels.append(data[f"label_{kind}"].sel(horizon=horizon).to_numpy())
    found = np.concatenate(labels) if labels else np.zeros(0, dtype=np.int8)
    known = found[found >= 0]
    if len(known) == 0:
        return [Check("labels", False, 0, "> 0", f"sessions with a known {kind} label over {horizon} sessions")]
    shares = {LABEL_WORDS[code]: float(np.mean(known == code)) for code in (0, 1, 2)}
    return [
        Check("labels", True, len(known), "> 0", f"sessions with a known {kind} label over {horizon} sessions"),
        *(
            Check(
                f"class: {word}",
                share >= SMALLEST_CLASS,
                share,
                f">= {SMALLEST_CLASS}",
                "share of the known labels",
            )
            for word, share in shares.items()
        ),
    ]


def drawn_again(run: Run, store: ImageStore, *, images: int = 4, seed: int = 0) -> Check:
    """Compare what readers see of up to two symbols with what the tables give: images, features and labels.

    Parameters
    ----------
    run
        Inputs, layout and configuration.
    store
        Store to look at.
    images
        Drawn again from tables cut at their decision, of the symbols that the seed chooses: a rebuild of the symbol's
        features each.
    seed
        Chooses symbols and images.

    Returns
    -------
    Check
        Passed where nothing differs; its value is the number of findings.
    """
    rng = np.random.default_rng(seed)
    symbols = [name for name in run.config.symbols if name in store.symbols and name not in run.depending]
    if not symbols:
        why = "companies are left out, and published images of the others wait for them: these are their peers"
        return Check("drawn again", True, 0.0, NO_INPUT, why)
    chosen = [symbols[k] for k in rng.permutation(len(symbols))[:REDRAWN_SYMBOLS]]
    found = [
        audit_stored(Timing(run, name, make_panel, seed, _silent), store, -(-images // len(chosen)), rng, _silent)
        for name in chosen
    ]
    wrong = [finding for one in found for finding in one.findings]
    others = sum(one.other_inputs for one in found)
    meaning = f"of {what_was_compared(found)}, findings of what the tables do not give"
    if others:
        meaning += f"; {others} more image{'' if others == 1 else 's'} of other inputs than these, which show nothing"
    if wrong:
        meaning += f": {wrong[0].evidence}"
    return Check("drawn again", not wrong, len(wrong), "= 0", meaning)


def _silent(what: str) -> None:
    """Ignore the progress of a rebuild."""


def quality_checks(
    store: ImageStore, *, sample: int = 64, seed: int = 0, kind: str = "price_movement", horizon: int = 5,
    lacks: Mapping[str, str] | None = None,
) -> list[Check]:  # fmt: skip
    """Check what is published: pixels, cells, variety and continuity in time, bytes, coverage, labels.

    What no table feeds is not judged: its checks pass, with the missing table in their meaning.

    Parameters
    ----------
    store
        Store to look at.
    sample
        Pairs of adjacent sessions whose pixels are read (6 MB each); checksums, duplicates, coverage and labels
        are checked on all of them.
    seed
        Chooses the pairs of sessions.
    kind, horizon
        The label whose classes are counted.
    lacks
        Table to what is missing in it, as `finnex.pipeline.lacking` says it; absent, the meanings name tables alone.

    Returns
    -------
    list of Check
        Name, value, limit and meaning of each check, and whether it passed.

    Raises
    ------
    StoreError
        Fewer than two pairs of adjacent sessions are published.
    """
    damaged = {symbol: store.damaged(symbol) for symbol in store.symbols}
    taken = _take(store, damaged, sample, seed)
    sections, inputs = _sections(store), region_inputs(store, lacks)
    shown = (taken.images != 0).any(axis=0)
    return [
        *_store_checks(store, damaged),
        *_pixel_checks(taken.images, shown, inputs.without()),
        *_cell_checks(taken.images, shown, sections, inputs),
        *_variety_checks(taken, shown, sections, inputs, seed),
        *_coverage_checks(inputs),
        *_label_checks(store, kind, horizon),
    ]
