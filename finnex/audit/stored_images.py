"""The published store itself: what readers see, against what the tables give when they are cut at the decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from finnex.audit.audit_report import Finding
from finnex.audit.compare import image_of
from finnex.audit.stored_features import NEIGHBORS, compare_features
from finnex.audit.stored_labels import compare_labels
from finnex.audit.timing import Timing
from finnex.data.panel import Panel
from finnex.images.blending import region_weights
from finnex.images.render import Renderer
from finnex.pipeline import window_hashes
from finnex.store import READY, ImageStore

COMPARED_AS_THEY_ARE = 36
"""Further images that are compared with the drawing from the tables as they are, without a rebuild."""
MOST_NAMED = 3
"""Images that findings name; more of the same says nothing new."""
REBUILD = "Build the store again with `finnex build --force`, and audit it again; if this stays, report it as a defect."


@dataclass(frozen=True)
class StoredAudit:
    """What was seen of a symbol's part of a store.

    Attributes
    ----------
    images, cut
        Published images drawn again and compared, and how many of them from tables cut at their decision.
    other_inputs
        Further images that were drawn from other inputs than the tables given, so that nothing is shown by them.
    features
        Published sessions whose stored features were compared.
    outcomes, classes, ends
        Stored values of labels that were computed again from the bars.
    """

    findings: list[Finding]
    images: int = 0
    cut: int = 0
    other_inputs: int = 0
    features: int = 0
    outcomes: int = 0
    classes: int = 0
    ends: int = 0


def what_was_compared(audits: Sequence[StoredAudit]) -> str:
    """Return how much of a store was computed again, in words."""
    images, cut = sum(one.images for one in audits), sum(one.cut for one in audits)
    features, outcomes = sum(one.features for one in audits), sum(one.outcomes for one in audits)
    classes, ends = sum(one.classes for one in audits), sum(one.ends for one in audits)
    return (
        f"{images} published image{'' if images == 1 else 's'} ({cut} of them from tables cut at the decision), the "
        f"features of {features:,} session{'' if features == 1 else 's'}, and of labels {outcomes:,} outcomes, "
        f"{classes:,} classes and {ends:,} ends"
    )


def audit_stored(
    timing: Timing, store: ImageStore, count: int, rng: np.random.Generator, tick: Callable[[str], None]
) -> StoredAudit:
    """Compare what readers of a store see with what the tables give: images, features, and labels.

    Features and labels are compared of all published sessions whose inputs are the tables given; images of some.

    Parameters
    ----------
    timing
        The audit of one symbol: its run, its panel of all tables, and how tables are cut.
    store
        Store to look at.
    count
        Images to draw again from tables cut at their decision, of the published ones of the symbol.
    rng
        Source of the choice of images.
    tick
        Called with the description of each step.

    Returns
    -------
    StoredAudit
        Findings and how much was compared; empty where the store has another layout or lacks the symbol.
    """
    run, symbol, full = timing.run, timing.symbol, timing.full
    if symbol not in store.symbols or str(store.attrs["layout_hash"]) != run.layout.hash:
        return StoredAudit([])
    state = store.state(symbol)
    ready = np.flatnonzero(state.status == READY)
    position = full.calendar.index_of(state.days[ready])
    ready, position = ready[position >= 0], position[position >= 0]
    same = state.input_hash[ready] == window_hashes(full, run.layout, region_weights(full, run.layout))[position]
    renderer = Renderer(run.layout)
    findings: list[Finding] = []
    images = cut = other_inputs = 0
    rebuilt: dict[int, Panel] = {}
    order = rng.permutation(len(ready))[: count + COMPARED_AS_THEY_ARE]
    order = order[~np.isin(ready[order], store.damaged(symbol, ready[order].tolist()))]  # a matter of its own
    chosen, others = np.sort(order[:count]), np.sort(order[count:])
    for number in chosen:
        here, day = int(position[number]), full.calendar.days[position[number]]
        tick(f"{symbol} {day}, the published image")
        until = {table: one.first(len(one)) for table, one in timing.alterations(here, "cut").items()}
        found = timing.rebuild(until, here)
        seen = store.image(symbol, day)
        if found.value is not None:
            rebuilt[here] = found.value
            if np.array_equal(image_of(renderer, found.value, here), seen):
                same[number] = True  # it is the image of these inputs, although another hash is stored
                images, cut = images + 1, cut + 1
                continue
        shift = _session_shown(renderer, full, here, seen)
        if shift is None and not same[number]:
            other_inputs += 1
            continue
        images, cut = images + 1, cut + 1
        findings.append(_image_finding(symbol, day.item(), shift, found.error))
        if len(findings) >= MOST_NAMED:
            break
    for number in others[same[others]]:  # cheap: a session's cause was asked of others, here it is the drawing
        here, seen = int(position[number]), store.image(symbol, full.calendar.days[position[number]])
        if len(findings) >= MOST_NAMED:
            break
        images += 1
        if not np.array_equal(image_of(renderer, full, here), seen):
            shift = _session_shown(renderer, full, here, seen)
            findings.append(_image_finding(symbol, full.calendar.days[here].item(), shift, ""))
    features, wrong = compare_features(store, full, rebuilt, ready[same], position[same], REBUILD)
    labels = compare_labels(timing, store, ready[same], position[same], REBUILD)
    return StoredAudit(
        [*findings, *wrong, *labels.findings],
        images, cut, other_inputs, features, labels.outcomes, labels.classes, labels.ends,
    )  # fmt: skip


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
