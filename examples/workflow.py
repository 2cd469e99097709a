"""The specification's six steps, as it prints them, on the bundled sample: from three files to an evaluated network.

    python examples/workflow.py --small                                    a year; some minutes on two cores
    python examples/workflow.py --small --until 2024-06-14 --epochs 1      half of it
    python examples/workflow.py                                            the specification's network; best on a GPU
    python examples/workflow.py --epochs 100 --batch-size 16 --patches-per-session 256     and its training

The script names three files of an author's collection on Tesla, for 2024. They cannot come with FinNeX, so
`write_inputs` writes stand-ins under their names: the sample's NVIDIA, with every session of January 2013 to June 2016
moved to one that ends with 2024. Bars and most features are real, sentiment and fundamentals are synthetic and know no
future. So a network that beats the majority class here beyond its interval would be a reason to look for a leak.
"""

from __future__ import annotations

import argparse
import atexit
import os
import shutil
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from finnex.pipeline import read_run
from finnex.cnn_training import training_config
from finnex.config import Config
from finnex.data.calendar import session_calendar
from finnex.data.panel import make_panel
from finnex.evaluation import describe_evaluation, evaluate_finnex_model
from finnex.sample import SAMPLE_END, SAMPLE_SYMBOLS, sample_tables

COMPANY = "NVDA"
ENHANCED = "tesla_mega_dataset_enhanced_20250730_205109.csv"
SENTIMENT = "tesla_comprehensive_20250801_001830.csv"
COMPETITIVE = "openbb_tesla_competitive_analysis_20250731_002300.csv"
LEFT_TO_FINNEX = ("sentiment", "calendar", "events", "competitive")
"""Tables whose features follow from the other two files and from the dates."""


def write_inputs(folder: Path) -> None:
    """Write the three files that the script names: Stage 1 features with bars, sentiment records, company metrics."""
    tables = sample_tables(folder / "sample")
    document = {"inputs": tables, "symbols": (COMPANY,), "store": {"path": folder / "unused.zarr"}}
    run = read_run(Config.model_validate(document))
    catalogue = run.layout.catalogue
    panel = make_panel(run.tables, run.config, COMPANY, catalogue.entries)
    past = panel.calendar.days[panel.calendar.days <= np.datetime64(SAMPLE_END)]
    sessions = session_calendar("XNYS", date(2020, 1, 1), date(2024, 12, 31)).days[-len(past) :]

    prices = pd.read_csv(tables["prices"], parse_dates=["date"])
    bars = prices[prices["symbol"] == COMPANY].set_index("date").drop(columns="symbol").reindex(past)
    features = pd.DataFrame(panel.original[: len(past)], columns=list(catalogue.names)).dropna(
        axis="columns", how="all"
    )
    kept = [name for name in features if catalogue.find(name).table not in LEFT_TO_FINNEX]
    enhanced = pd.concat([bars.reset_index(drop=True), features[kept]], axis="columns")
    enhanced.insert(0, "Date", sessions.astype(str))
    enhanced[bars["close"].notna().to_numpy()].to_csv(folder / ENHANCED, index=False)

    records = pd.read_csv(tables["sentiment"])
    records = records[records["symbol"] == COMPANY]
    moment = pd.to_datetime(records["timestamp"], utc=True).dt.tz_localize(None).to_numpy().astype("datetime64[s]")
    row = np.searchsorted(past, moment.astype("datetime64[D]"), side="right") - 1
    inside = (row >= 0) & (moment.astype("datetime64[D]") <= past[-1])
    records, moment, row = records[inside], moment[inside], row[inside]
    moved = sessions[row].astype("datetime64[s]") + (moment - moment.astype("datetime64[D]"))
    pd.DataFrame(
        {
            "timestamp": [f"{stamp}Z" for stamp in moved.astype(str)],
            "platform": records["source"].to_numpy(),
            "source": records["provider"].to_numpy(),
            "sentiment_score": records["score"].to_numpy(),
            "confidence": records["confidence"].to_numpy(),
            "engagement_score": records["engagement"].to_numpy(),
            "text": "synthetic",
        }
    ).to_csv(folder / SENTIMENT, index=False)

    closes = prices.pivot(index="date", columns="symbol", values="close")[list(SAMPLE_SYMBOLS)].loc[: past[-1]]
    year = closes.iloc[-253:]
    metrics = pd.DataFrame({"return_1y": year.iloc[-1] / year.iloc[0] - 1, "volatility_1y": year.pct_change().std()})
    metrics.rename(index={COMPANY: "TESLA"}).rename_axis("symbol").to_csv(folder / COMPETITIVE)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--until", default="2024-12-31", help="last day to draw")
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--batch-size", type=int, default=64, help="patches of one step")
parser.add_argument("--patches-per-session", type=int, default=32, help="of 256, another random choice every epoch")
parser.add_argument("--small", action="store_true", help="train a network of a tenth of the specification's weights")
options = parser.parse_args()

folder = Path(tempfile.mkdtemp(prefix="finnex-workflow-"))
atexit.register(shutil.rmtree, folder, ignore_errors=True)
write_inputs(folder)
os.chdir(folder)
training_config["training_params"] |= {
    "epochs": options.epochs,
    "warmup_epochs": min(10, options.epochs // 5),
    "batch_size": options.batch_size,
    "patches_per_session": options.patches_per_session,
}

# Step 1: Initialize Mega-Image Generator
from finnex.mega_image_generation import FinNeXMegaImageGenerator

generator = FinNeXMegaImageGenerator(
    enhanced_dataset="tesla_mega_dataset_enhanced_20250730_205109.csv",
    sentiment_dataset="tesla_comprehensive_20250801_001830.csv",
    competitive_dataset="openbb_tesla_competitive_analysis_20250731_002300.csv",
)

# Step 2: Generate complete Mega-Image dataset
date_range = pd.date_range("2024-01-01", "2024-12-31", freq="B")
date_range = date_range[date_range <= options.until]
mega_images, metadata = generator.create_mega_image_batch(date_range)
print(f"{len(metadata)} images {mega_images.shape[1:]}, {len(mega_images.attrs['skipped'])} days are no session")

# Step 3: Create CNN-ready patch dataset
from finnex.cnn_training import FinNeXCNNTrainer

trainer = FinNeXCNNTrainer(mega_images, patch_size=32)
patches, labels, patch_metadata = trainer.create_patch_dataset()
last = patch_metadata[-1]
told = (
    "date",
    "patch_section",
    "spatial_coordinates",
    "aggregated_sentiment",
    "regime_context",
    "breakout_probability",
)
print(f"{len(patches):,} patches {patches.shape[1:]}; of the last one: { ({name: last[name] for name in told}) }")

# Step 4: Split dataset for training
train_data, val_data, test_data = trainer.create_train_val_test_split(
    patches, labels, patch_metadata,
    train_ratio=0.8, val_ratio=0.1, test_ratio=0.1,
    temporal_split=True  # Respect temporal order
)  # fmt: skip
for name, part in (("training", train_data), ("validation", val_data), ("test", test_data)):
    days = np.unique(part.metadata.column("date"))
    print(f"{name}: {len(days)} sessions from {days[0]} to {days[-1]}, {len(part.labels):,} patches")

# Step 5: Train CNN model
from finnex.models import FinNeXMultiScaleCNN

model = FinNeXMultiScaleCNN(input_channels=3, num_classes=3, patch_size=32)
if options.small:
    model = FinNeXMultiScaleCNN(input_channels=3, num_classes=3, patch_size=32, preset="small")
trained_model = trainer.train_model(model, train_data, val_data, config=training_config)

# Step 6: Comprehensive evaluation
evaluation_results = evaluate_finnex_model(trained_model, test_data, financial_metrics=True)
print(describe_evaluation(evaluation_results))
