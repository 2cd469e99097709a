"""Does altering training images help? One network per variant and seed, judged on validation folds only.

    python -m benchmarks.ablation_augmentation                     # a planted market, whose rule is known
    python -m benchmarks.ablation_augmentation --market sample     # the bundled sample: real prices

Prints a table: each variant's accuracy and log loss on the validation sessions of all folds, and its difference to no
augmentation on the same sessions, with its interval over sessions. Test parts are not looked at.

The planted market's rule is a turn of mood: sentiment that has risen over the last days is followed by a session that
rises. So the direction of time matters, the row of a feature matters, and there is noise. A variant that is better on
it may still be of no use on real data; one that is worse destroys what a mega-image shows.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finnex.config.training import AUGMENTATION_PRESETS

SPECIFICATION = AUGMENTATION_PRESETS["specification"]
VARIANTS: dict[str, dict[str, Any]] = {
    "none": {},
    "horizontal flip 0.5": {"random_horizontal_flip": 0.5},
    "vertical flip 0.3": {"random_vertical_flip": 0.3},
    "brightness, contrast 0.1": {"color_jitter": (0.1, 0.1, 0.0, 0.0)},
    "colour jitter": {"color_jitter": SPECIFICATION["color_jitter"]},
    "noise 0.02": {"gaussian_noise": 0.02},
    "mixup 0.2": {"mixup_alpha": 0.2},
    "noise and mixup": {"gaussian_noise": 0.02, "mixup_alpha": 0.2},
    "specification": SPECIFICATION,
}
P = ["p_sell", "p_hold", "p_buy"]
LABELLED = {"horizon": 1}
TURN_SESSIONS = 3
"""The mood's turn: its mean over so many sessions, less its mean over as many before."""
EXPLAINED = 0.9
"""Correlation of the turn and the session after it."""


def planted_tables(folder: Path, sessions: int, seed: int = 0) -> dict[str, str]:
    """Write prices and sentiment of a company whose sessions follow the turn of its mood."""
    from finnex.data.calendar import session_calendar

    axis = session_calendar("XNYS", date(2012, 1, 3), date(2023, 12, 29)).days[: sessions + 1]
    rng = np.random.default_rng(seed)
    mood = np.zeros(len(axis))
    for t in range(1, len(axis)):
        mood[t] = 0.8 * mood[t - 1] + 0.15 * rng.normal()
    mood = np.clip(mood, -1, 1)
    mean = pd.Series(mood).rolling(TURN_SESSIONS).mean()
    turn = (mean - mean.shift(TURN_SESSIONS)).fillna(0).to_numpy()
    session = 0.015 * (
        EXPLAINED * np.roll(turn, 1) / turn.std() + np.sqrt(1 - EXPLAINED**2) * rng.normal(size=len(axis))
    )
    overnight = 0.004 * rng.normal(size=len(axis))
    close = 100 * np.exp(np.cumsum(session + overnight))
    opened = close / np.exp(session)
    spread = np.abs(0.004 * rng.normal(size=len(axis)))
    prices = pd.DataFrame(
        {
            "symbol": "PLANTED", "date": axis.astype(str), "open": opened,
            "high": np.maximum(opened, close) * (1 + spread), "low": np.minimum(opened, close) * (1 - spread),
            "close": close, "volume": rng.integers(900_000, 1_100_000, len(axis)),
        }
    )  # fmt: skip
    sentiment = pd.DataFrame(
        {
            "symbol": "PLANTED", "timestamp": [f"{day}T18:00:00Z" for day in axis.astype(str)], "source": "news",
            "score": mood,
        }
    )  # fmt: skip
    prices.iloc[:-1].to_csv(folder / "prices.csv", index=False)
    sentiment.iloc[:-1].to_csv(folder / "sentiment.csv", index=False)
    return {"prices": str(folder / "prices.csv"), "sentiment": str(folder / "sentiment.csv")}


def planted(folder: Path, sessions: int) -> dict[str, Any]:
    from finnex.data.calendar import session_calendar

    warm_up = 300
    axis = session_calendar("XNYS", date(2012, 1, 3), date(2023, 12, 29)).days
    return {
        "inputs": planted_tables(folder, warm_up + sessions) | {"synthetic": ["prices", "sentiment"]},
        "symbols": ["PLANTED"], "start": axis[warm_up].item(), "labels": LABELLED,
    }  # fmt: skip


def sample(folder: Path, sessions: int) -> dict[str, Any]:
    from finnex.data.calendar import session_calendar
    from finnex.sample import SAMPLE_END, SAMPLE_START, SYNTHETIC_TABLES, sample_tables

    symbols = ["NVDA", "AAPL", "AMZN"]
    axis = session_calendar("XNYS", SAMPLE_START, SAMPLE_END).days
    tables = {name: str(path) for name, path in sample_tables(folder / "inputs").items()}
    return {
        "inputs": tables | {"synthetic": list(SYNTHETIC_TABLES)}, "symbols": symbols,
        "start": axis[max(0, len(axis) - sessions // len(symbols))].item(), "end": SAMPLE_END,
    }  # fmt: skip


def validation_rows(table: pd.DataFrame, model: str) -> pd.DataFrame:
    """Return whether a model was right, and its log loss, by validation session."""
    rows = table[(table["split"] == "validation") & (table["model"] == model)].copy()
    said, labels = rows[P].to_numpy(), rows["label"].to_numpy()
    rows["right"] = (said.argmax(axis=1) == labels).astype(float)
    rows["loss"] = -np.log(np.clip(said[np.arange(len(rows)), labels], 1e-12, None))
    # A session of several seeds is one session.
    return rows.groupby(["decision_date", "symbol", "fold"])[["right", "loss"]].mean()


def line(name: str, rows: pd.DataFrame, reference: pd.DataFrame, horizon: int, seconds: float) -> str:
    """Return a row of the table."""
    from finnex.evaluation.interval import mean_estimate

    dates = rows.index.get_level_values("decision_date").to_numpy().astype("datetime64[D]")
    cells = []
    for column, digits, scale in (("right", 1, 100.0), ("loss", 3, 1.0)):
        gap = mean_estimate(scale * (rows[column] - reference[column]).to_numpy(), dates, horizon).interval()
        cells.append(f"{scale * rows[column].mean():.{digits}f}")
        cells.append(gap.words(f"+.{digits}f"))
    return f"| {name} | {' | '.join(cells)} | {seconds:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--market", choices=("planted", "sample"), default="planted")
    parser.add_argument("--sessions", type=int, default=900, help="images in all")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=1)
    parser.add_argument("--variant", action="append", choices=list(VARIANTS), help="only these, and none")
    asked = parser.parse_args()

    from finnex.config import parse_config
    from finnex.config.training import AugmentationSettings
    from finnex.pipeline import build
    from finnex.store import ImageStore
    from finnex.training import train

    with tempfile.TemporaryDirectory(prefix="finnex-") as name:
        folder = Path(name)
        document = (planted if asked.market == "planted" else sample)(folder, asked.sessions)
        document |= {
            "store": {"path": str(folder / "images.zarr")},
            "training": {
                "epochs": asked.epochs, "patience_epochs": asked.epochs, "seeds": asked.seeds, "folds": asked.folds,
                "train_fraction": 0.6, "validation_fraction": 0.3,
                "baselines": ["majority", "logistic_regression_lags"],
            },
        }  # fmt: skip
        config = parse_config(document, folder / "finnex.toml")
        build(config)
        store = ImageStore.open(config.store.path)
        reference = None
        for variant in dict.fromkeys(["none", *(asked.variant or VARIANTS)]):
            altered = AugmentationSettings(**VARIANTS[variant])
            began = time.process_time()
            table = train(config.model_copy(update={"augmentation": altered}), store).predictions
            seconds = time.process_time() - began
            rows = validation_rows(table, config.model.architecture)
            if reference is None:
                reference = rows
                days = rows.index.get_level_values("decision_date").nunique()
                print(
                    f"{asked.market} market: {len(rows)} validation samples on {days} sessions, {asked.folds} folds, "
                    f"{asked.seeds} seeds, {asked.epochs} epochs\n\n"
                    "| variant | accuracy, % | difference, points (95 %) | log loss | difference (95 %) | CPU s |\n"
                    "|---|---|---|---|---|---|"
                )
                for baseline in config.training.baselines:
                    print(
                        line(
                            baseline.replace("_", " "),
                            validation_rows(table, baseline),
                            reference,
                            config.labels.horizon,
                            0.0,
                        )
                    )
            print(line(variant, rows, reference, config.labels.horizon, seconds), flush=True)


if __name__ == "__main__":
    main()
