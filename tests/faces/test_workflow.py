"""The specification's six steps run as printed, on the bundled sample, and say what a newcomer understands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "workflow.py"
PRINTED = """
from finnex.mega_image_generation import FinNeXMegaImageGenerator
generator = FinNeXMegaImageGenerator(
enhanced_dataset='tesla_mega_dataset_enhanced_20250730_205109.csv',
sentiment_dataset='tesla_comprehensive_20250801_001830.csv',
competitive_dataset='openbb_tesla_competitive_analysis_20250731_002300.csv'
)
date_range = pd.date_range('2024-01-01', '2024-12-31', freq='B')
mega_images, metadata = generator.create_mega_image_batch(date_range)
from finnex.cnn_training import FinNeXCNNTrainer
trainer = FinNeXCNNTrainer(mega_images, patch_size=32)
patches, labels, patch_metadata = trainer.create_patch_dataset()
train_data, val_data, test_data = trainer.create_train_val_test_split(
patches, labels, patch_metadata,
train_ratio=0.8, val_ratio=0.1, test_ratio=0.1,
temporal_split=True  # Respect temporal order
)
from finnex.models import FinNeXMultiScaleCNN
model = FinNeXMultiScaleCNN(input_channels=3, num_classes=3, patch_size=32)
trained_model = trainer.train_model(model, train_data, val_data, config=training_config)
evaluation_results = evaluate_finnex_model(trained_model, test_data, financial_metrics=True)
"""
STEPS = (
    "Step 1: Initialize Mega-Image Generator", "Step 2: Generate complete Mega-Image dataset",
    "Step 3: Create CNN-ready patch dataset", "Step 4: Split dataset for training", "Step 5: Train CNN model",
    "Step 6: Comprehensive evaluation",
)  # fmt: skip


def plain(text: str) -> list[str]:
    """Lines without indentation, kind of quotes and trailing commas."""
    lines = [line.strip().replace('"', "'").rstrip(",") for line in text.splitlines()]
    return [re.sub(r"\)\s+# fmt: skip$", ")", line) for line in lines if line]


def test_the_example_has_every_line_of_the_script_in_its_order() -> None:
    example = plain(EXAMPLE.read_text(encoding="utf-8"))
    place = example.index("# Step 1: Initialize Mega-Image Generator")
    for line in plain(PRINTED):
        assert line in example[place:], f"the example lacks: {line}"
        place += example[place:].index(line) + 1
    steps = [line.removeprefix("# ") for line in example if line.startswith("# Step")]
    assert tuple(steps) == STEPS


@pytest.mark.integration
def test_the_six_steps_run_on_the_sample_and_say_what_came_of_it(tmp_path: Path) -> None:
    few = ["--small", "--until", "2024-06-14", "--epochs", "1", "--patches-per-session", "8"]
    run = subprocess.run(
        [sys.executable, str(EXAMPLE), *few], capture_output=True, text=True, cwd=tmp_path, timeout=280, check=False,
        env={"PATH": "", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    told = run.stdout
    assert "115 images (512, 512, 3), 5 days are no session" in told
    assert "29,440 patches (32, 32, 3)" in told
    assert "'breakout_probability': 0." in told
    parts = re.findall(r"(\w+): (\d+) sessions from (\S+) to (\S+), ([\d,]+) patches", told)
    assert [name for name, *_ in parts] == ["training", "validation", "test"]
    assert [int(patches.replace(",", "")) for *_, patches in parts] == [
        256 * int(sessions) for _, sessions, *_ in parts
    ]
    assert [first for _, _, first, _, _ in parts] == sorted(first for _, _, first, _, _ in parts)
    assert re.search(r"epoch 1: loss \d\.\d+, validation loss \d\.\d+", told)
    assert "On 11 unseen sessions nothing can be said of FinNeXMultiScaleCNN" in told
    assert "no interval: 11 sessions, at least 60 are needed at horizon 5" in told
    assert len(re.findall(r"without section \w+: accuracy falls by", told)) == 3
    assert len(re.findall(r"without channel (red|green|blue): accuracy falls by", told)) == 3
    assert len(re.findall(r"with channel (red|green|blue) alone: accuracy \d.\d\d, with none", told)) == 3
    assert list(tmp_path.glob("finnex-workflow-*")) == []
