"""A change of the code that is to change no picture changes no bit of one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from finnex.config import Config
from finnex.pipeline import build
from finnex.sample import SYNTHETIC_TABLES
from finnex.store import ImageStore

PIXELS = "8627c0e6c38be11168e6e5769bbea136e1a9964c588fb64641916f83a4102cba"
"""Of the pixels of five sessions of the sample, as float32. Another picture needs another `RENDERER_VERSION` and this
line changed with it; one that only the machine changes is a defect of the rounding.
Version 2 moved them: brightness has 256 steps and prices are levels of their quarter, so that a file that begins a day
later redraws nothing, and one that differs in the tenth digit little."""


def test_the_pixels_of_the_sample_are_those_of_the_version_before(sample_config: Callable[..., Config]) -> None:
    config = sample_config(start=date(2015, 3, 2), end=date(2015, 3, 6))
    assert build(config).built == 5
    images = ImageStore.open(config.store.path).open_images("NVDA")["image"].to_numpy()
    assert images.shape == (5, 512, 512, 3)
    assert sha256(images.astype("<f4").tobytes()).hexdigest() == PIXELS


DIGEST = """
import hashlib, sys
from pathlib import Path
from finnex.config import load_config
from finnex.pipeline import read_run
from finnex.pipeline.stage_1 import stage_1
found = stage_1(read_run(load_config(Path(sys.argv[1]))), "NVDA")
print(hashlib.sha256(found.rows.tobytes() + found.weights.tobytes()).hexdigest())
"""
WIDE = {"X86_V4", "AVX512_SKX", "AVX512_CLX", "AVX512_CNL", "AVX512_ICL", "AVX512_SPR"}
"""Instructions with which NumPy computes logarithms and exponentials otherwise, in the last bit."""


def test_another_processor_gives_the_same_bits_of_every_session(sample_inputs: dict[str, Path], tmp_path: Path) -> None:
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    wide = sorted(name for name in WIDE.intersection(__cpu_dispatch__) if __cpu_features__.get(name))
    if not wide:
        pytest.skip("this processor has no wide instructions to turn off")
    tables = "\n".join(f'{name} = "{path}"' for name, path in sample_inputs.items())
    (tmp_path / "finnex.toml").write_text(
        f'symbols = ["NVDA"]\n[inputs]\n{tables}\nsynthetic = {list(SYNTHETIC_TABLES)}\n[store]\npath = "images.zarr"\n'
    )

    def digest(**environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", DIGEST, str(tmp_path / "finnex.toml")],
            env=os.environ | environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    assert digest() == digest(NPY_DISABLE_CPU_FEATURES=" ".join(wide))
