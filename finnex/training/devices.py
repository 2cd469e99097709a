"""Where a study runs and that it runs the same twice: processes, precision, threads, deterministic arithmetic."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from accelerate.state import AcceleratorState

from finnex.config.training import TrainingSettings

PATIENCE = timedelta(hours=4)
"""How long the other processes wait for the first one, which alone draws sibling stores and fits baselines."""
PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}


def mixed_precision(settings: TrainingSettings) -> str:
    """Return accelerate's word for the precision: where the device has none, full precision."""
    if settings.precision != "auto":
        return PRECISIONS[settings.precision]
    if not torch.cuda.is_available():
        return "no"
    return "bf16" if torch.cuda.is_bf16_supported() else "fp16"


def make_accelerator(settings: TrainingSettings) -> Accelerator:
    """Return the accelerator of a study; under `torchrun` or `accelerate launch` it joins the other processes."""
    wanted = mixed_precision(settings)
    if AcceleratorState._shared_state and AcceleratorState().mixed_precision != wanted:
        AcceleratorState._reset_state()  # one process may train twice with different precision; accelerate refuses it
    return Accelerator(
        mixed_precision=wanted,
        cpu=not torch.accelerator.is_available(),  # by default it lets several processes of a CPU run each for itself
        kwargs_handlers=[
            # A network that reads images and patches has weights that only one of the two uses.
            DistributedDataParallelKwargs(find_unused_parameters=True),
            InitProcessGroupKwargs(timeout=PATIENCE),
        ],
    )


def arithmetic_threads(settings: TrainingSettings, processes: int = 1) -> int:
    """Return the threads of one process.

    A core is left to the reader and to other programs: threads that meet after every small product wait for the
    slowest, and where cores are shared two of them took six times as long as one.
    """
    return settings.threads or max(1, ((os.cpu_count() or 1) - 1) // processes)


@contextmanager
def repeatable(accelerator: Accelerator, threads: int) -> Iterator[None]:
    """Compute so that two runs give the same bits, and leave torch's settings and random state as they were."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warned_only = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    cuda = accelerator.device.type == "cuda"
    if cuda:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it to repeat itself
    with torch.random.fork_rng(devices=[accelerator.device] if cuda else []):
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        memory.fill_uninitialized_memory = False  # a tenth of a step, and nothing reads memory before it writes it
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            torch.use_deterministic_algorithms(before[1], warn_only=warned_only)
            memory.fill_uninitialized_memory = filled
