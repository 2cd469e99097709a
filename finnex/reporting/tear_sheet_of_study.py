"""The tear sheet of a recorded training."""

from __future__ import annotations

from collections.abc import Sequence

from finnex.config import TradingSettings
from finnex.evaluation.study_evaluation import StudyEvaluation
from finnex.evaluation.trading import WITHOUT_A_MODEL
from finnex.reporting.tear_sheet import TearSheet


def sheet_of(
    found: StudyEvaluation, settings: TradingSettings, universe: str, synthetic_tables: Sequence[str] = ()
) -> TearSheet | None:
    """Return what the tear sheet of a training shows; None where there are no trading figures.

    Parameters
    ----------
    found
        The training, judged.
    settings
        Costs and borrow fee that it was judged with.
    universe
        Whether companies are members with dates, in words.
    synthetic_tables
        Input tables that hold generated data.

    Returns
    -------
    TearSheet
        Of the model, against what is held without one.
    """
    card, name = found.trading, found.card.model.replace("_", " ")
    if card.unavailable:
        return None
    does, *notes = card.words()
    return TearSheet(
        title=f"Tear sheet of {name}",
        does=does,
        name=name,
        course=card.courses[found.card.model],
        benchmarks={one.replace("_", " "): card.courses[one] for one in WITHOUT_A_MODEL},
        sessions_per_year=card.sessions_per_year,
        horizon=card.horizon,
        cost_bps=settings.cost_bps,
        not_shown=[*notes, *found.words(), f"Universe: {universe}"],
        facts={"Decisions": f"{found.card.first} to {found.card.last}", "Trials": str(found.trials)},
        synthetic_tables=synthetic_tables,
    )
