"""Puts a report together: checks, scores and pictures of one store and, where there is one, one training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from finnex.config import Config
from finnex.evaluation import Scorecard, TradingCard, confusion, scorecard, trading_card
from finnex.evaluation.scorecard import PROBABILITIES
from finnex.evaluation.universe_words import universe_words
from finnex.quality import Check, quality_checks
from finnex.reporting.charts import (
    class_distribution,
    confusion_matrix,
    coverage_over_time,
    learning_curve,
    score_chart,
)
from finnex.reporting.figures import contact_sheet
from finnex.reporting.html import Picture, ReportContent, render_report
from finnex.reporting.session import session_picture
from finnex.store import CLASS_WORDS, READY, ImageStore
from finnex.training import TrainingResult

SHEET_IMAGES = 8


@dataclass(frozen=True)
class Report:
    """A report and what it was made of.

    Attributes
    ----------
    html
        One self-contained file.
    """

    html: str
    pictures: tuple[Picture, ...]
    checks: tuple[Check, ...]
    card: Scorecard | None
    trading: TradingCard | None

    @property
    def failed(self) -> tuple[Check, ...]:
        """Checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)


def _image_pictures(store: ImageStore) -> list[Picture]:
    published = [
        (symbol, state.days[index])
        for symbol in store.symbols
        for state in [store.state(symbol)]
        for index in np.setdiff1d(np.flatnonzero(state.status == READY), store.damaged(symbol))
    ]
    latest = max(published, key=lambda item: item[1])
    spread = [published[round(k)] for k in np.linspace(0, len(published) - 1, min(SHEET_IMAGES, len(published)))]
    symbol, day = latest
    return [
        Picture(
            "session",
            f"{symbol}, {day}",
            "Grey is not known. Time runs from left (oldest) to right; rows are features.",
            session_picture(store, symbol, day),
        ),
        Picture(
            "contact_sheet",
            "Sessions across the store",
            "Images must differ, and none may have dead areas.",
            contact_sheet([store.image(*item) for item in spread], [f"{name}  {date}" for name, date in spread]),
        ),
    ]


def _coverage_picture(store: ImageStore) -> Picture:
    data = store.open_images(store.symbols[0])
    regions = [str(name) for name in data["region"].to_numpy()]
    drawn = coverage_over_time(
        data["date"].to_numpy().astype("datetime64[D]"),
        data["coverage"].to_numpy(),
        regions,
        f"known pixels, {store.symbols[0]}",
    )
    return Picture(
        "coverage",
        "Coverage over time",
        "Dark stretches are sessions for which a region's inputs were not known.",
        drawn,
    )


def _training_pictures(result: TrainingResult, card: Scorecard) -> list[Picture]:
    table = result.predictions
    own = table[(table["model"] == card.model) & (table["split"] == card.split)]
    counts = confusion(own["label"].to_numpy(), own[PROBABILITIES].to_numpy())
    return [
        Picture(
            "scores",
            "Scores",
            "Dots are estimates, bars are 95 % intervals, absent where there are too few sessions; a lead is "
            "green where the model beats the baseline, red where it is worse, by a test over all of them together.",
            score_chart(card),
        ),
        Picture(
            "learning_curve",
            "Learning",
            "Training loss that falls while validation loss rises is memory, not learning.",
            learning_curve(result.history),
        ),
        Picture(
            "confusion_matrix",
            "Answers",
            "Counts and shares of what happened; the diagonal is right.",
            confusion_matrix(counts, CLASS_WORDS, f"{card.model.replace('_', ' ')}, {card.rows} rows"),
        ),
        Picture(
            "classes",
            "Classes",
            "Shares that drift between the parts are a change of the market that no split can undo.",
            class_distribution({name: part.classes for name, part in result.parts.items()}),
        ),
    ]


def make_report(
    config: Config,
    store: ImageStore,
    result: TrainingResult | None = None,
    *,
    sample: int = 64,
    champion: str = "",
    redrawn: Check | None = None,
    lacks: Mapping[str, str] | None = None,
) -> Report:
    """Check a store and draw it; with a training, score and draw that too.

    Parameters
    ----------
    config
        Label whose classes are counted, and costs of trading.
    store
        Store to look at.
    result
        The training; None where there is none.
    sample
        Sessions whose pixels the quality checks read.
    champion
        Which version is the champion and how it became one; the report says so where it is given.
    redrawn
        What `finnex.quality.drawn_again` says of the published images.
    lacks
        Table to what is missing in it, as `finnex.pipeline.lacking` says it.

    Returns
    -------
    Report
        Checks, scores and pictures, and the HTML.
    """
    checks = quality_checks(store, sample=sample, kind=config.labels.kind, horizon=config.labels.horizon, lacks=lacks)
    checks += [] if redrawn is None else [redrawn]
    card = scorecard(result.predictions) if result is not None else None
    trading = trading_card(result.predictions, store, config.trading) if result is not None else None
    attrs = store.attrs
    facts = {
        "store": store.path.name,
        "fingerprint": store.fingerprint() if result is None else result.fingerprint,
        "layout": f"{attrs['layout_name']} ({attrs['layout_hash']})",
        "symbols": ", ".join(store.symbols),
        "universe": universe_words(store, store.symbols),
        "label": f"{config.labels.kind} over {config.labels.horizon} sessions",
    }
    if champion:
        facts["champion"] = champion
    pictures = []
    if result is not None and card is not None:
        for name, part in result.parts.items():
            facts[name] = f"{part.samples} images, {part.sessions} sessions, {part.first} to {part.last}"
        facts["left out between parts"] = (
            f"{result.purged} images whose outcome reaches into the next part or its embargo"
        )
        facts["training"] = f"{result.seconds:.0f} s, {len(result.history)} epochs, best {result.best_epoch}"
        if len(result.members) > 1:
            folds, seeds = config.training.folds, config.training.seeds
            facts["study"] = (
                f"{len(result.members)} trainings ({folds} folds, {seeds} seeds); parts, epochs and curves above and "
                f"below are those of fold {result.chosen.member.fold}, seed {result.chosen.member.seed}"
            )
        pictures += _training_pictures(result, card)
    pictures += [*_image_pictures(store), _coverage_picture(store)]
    content = ReportContent(
        title="FinNeX: store and training" if result is not None else "FinNeX: store",
        facts=facts,
        synthetic_tables=list(attrs["synthetic_tables"]),
        checks=checks,
        pictures=pictures,
        inputs=store.record().inputs,
        card=card,
        trading=trading,
        parameters=result.parameters if result is not None else {},
    )
    return Report(render_report(content), tuple(pictures), tuple(checks), card, trading)
