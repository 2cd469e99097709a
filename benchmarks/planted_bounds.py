"""What can be known of the planted market, and what knowing it earns: the bounds that its models are judged against.

    python -m benchmarks.planted_bounds                  # design seeds 0 to 9, a quarter of a minute each
    python -m benchmarks.planted_bounds --seeds 0 --traditional     # also models of tables, two minutes more

Of each seed: classes and regimes; whether FinNeX's labels are the planted classes; accuracy of the true rule; of the
detector on what is drawn, with all rows and with those of one modality; of the detector against shuffled labels; the
Sharpe ratio of the oracle, and of answers that are wrong at random. `--traditional` fits logistic regression and
boosted trees on the decisions of the first 70 % of dates and tests them on the last 20 %, with all features and with
those of one table; no network is trained.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.data.features import symbol_bars, symbol_calendar
from finnex.data.label_kinds import all_labels
from finnex.data.panel import make_panel
from finnex.datasets.samples import Samples
from finnex.datasets.splits import walk_forward
from finnex.evaluation.planted_oracle import planted_performance
from finnex.exam.planted_detector import accuracy, detect, windows
from finnex.exam.planted_market import COMPANIES, SESSIONS, PlantedMarket, planted_market
from finnex.exam.planted_patterns import latent_bounds
from finnex.layout import Layout, load_layout
from finnex.training.baselines import BASELINES, answer

DESIGN = range(10)
TRAIN, VALIDATION = 0.7, 0.1
ERRORS = (0.0, 0.1, 0.2, 0.35, 0.5)
"""Shares of decisions that are answered with another class than the rule's, for the Sharpe ratio of a worse reader."""


def figures(seed: int, companies: int, sessions: int, *, traditional: bool) -> dict[str, Any]:
    """Return everything that is printed of a seed."""
    layout, begun = load_layout("mega"), time.perf_counter()
    market = planted_market(seed, companies, sessions)
    answers = market.answers
    label, rule = answers["label"].to_numpy(), answers["answer"].to_numpy()
    seen = windows(market, layout)
    said = detect(seen.brightness, layout).argmax(axis=1)
    dealt = np.random.default_rng(seed).permutation(seen.label)
    found: dict[str, Any] = {
        "seed": seed, "decisions": len(answers),
        "classes": (np.bincount(label, minlength=3) / len(label)).round(4).tolist(),
        "regimes": (np.bincount(answers["regime"], minlength=3) / len(label)).round(4).tolist(),
        "labels_that_differ": different_labels(market), "latent": float((label == rule).mean()),
        "detector": float((said == seen.label).mean()),
        "detector_by_regime": [float((said == seen.label)[seen.regime == one].mean()) for one in range(3)],
        "detector_price_rows": accuracy(seen, layout, ("return", "volume")),
        "detector_sentiment_rows": accuracy(seen, layout, ("news", "social")),
        "detector_shuffled_labels": float((said == dealt).mean()), "oracle": planted_performance(market).record(),
        "sharpe_by_share_of_errors": {share: sharpe(market, share, seed) for share in ERRORS},
    }  # fmt: skip
    if traditional:
        found["traditional"] = tables_alone(market, layout)
    return found | {"seconds": round(time.perf_counter() - begun, 1)}


def different_labels(market: PlantedMarket) -> int:
    """Return how many labels of FinNeX are not those planted, a label where none is planted included."""
    wrong = 0
    for symbol, own in market.decisions.items():
        calendar = symbol_calendar(market.tables, market.config, symbol)
        bars = symbol_bars(market.tables, symbol, calendar)
        label = all_labels(market.tables, market.config, symbol, bars, calendar.days)["price_movement"].label[:, 0]
        planned = np.full(len(label), -1)
        planned[own.session] = own.label
        wrong += int((label != planned).sum())
    return wrong


def sharpe(market: PlantedMarket, errors: float, seed: int) -> float:
    """Return the Sharpe ratio of a reader who errs at random."""
    random = np.random.default_rng([seed, 1])
    classes = market.answers["answer"].to_numpy().copy()
    wrong = random.random(len(classes)) < errors
    classes[wrong] = (classes[wrong] + random.integers(1, 3, wrong.sum())) % 3
    return planted_performance(market, classes).sharpe_ratio.value


def tables_alone(market: PlantedMarket, layout: Layout) -> dict[str, dict[str, float]]:
    """Return the accuracy of the traditional baselines on the last dates, of all features and of one table's."""
    catalogue = layout.catalogue
    specs = [catalogue.find(name) for name in catalogue.names]
    panels = [make_panel(market.tables, market.config, name, specs).normalized for name in market.symbols]
    found = {}
    for table in ("all", "prices", "sentiment"):
        kept = [at for at, one in enumerate(specs) if table in ("all", one.table)]
        found[table] = baselines(market, tuple(panel[:, kept] for panel in panels))
    return found


def baselines(market: PlantedMarket, panels: tuple[npt.NDArray[np.float32], ...]) -> dict[str, float]:
    """Return the accuracy of FinNeX's baselines on the last dates, from panels by company."""
    rows, place = market.answers, {name: number for number, name in enumerate(market.symbols)}
    session, label = rows["session"].to_numpy(), rows["label"].to_numpy()
    samples = Samples(
        symbols=market.symbols, symbol=rows["symbol"].map(place).to_numpy().astype(np.intp), index=session,
        decision=market.days[session], entry=market.days[session + 1], label_end=market.days[session + 1], label=label,
        outcome=np.zeros(len(rows), dtype=np.float32), panels=panels,
    )  # fmt: skip
    split = walk_forward(
        samples.decision, samples.label_end, train_fraction=TRAIN, validation_fraction=VALIDATION, embargo_sessions=5
    )[0]
    return {
        name: float((answer(name, samples, split, split.test).argmax(axis=1) == label[split.test]).mean())
        for name in BASELINES
    }


def main() -> None:
    """Print a line of JSON for the latent bounds, and one a seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(DESIGN))
    parser.add_argument("--companies", type=int, default=COMPANIES)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--traditional", action="store_true")
    given = parser.parse_args()
    if any(seed not in DESIGN for seed in given.seeds):
        parser.error("the market is designed on seeds 0 to 9; a verdict needs seeds that were never looked at")
    print(json.dumps({"latent_bounds": latent_bounds().record()}), flush=True)
    for seed in given.seeds:
        print(json.dumps(figures(seed, given.companies, given.sessions, traditional=given.traditional)), flush=True)


if __name__ == "__main__":
    main()
