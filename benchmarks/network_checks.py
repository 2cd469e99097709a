"""What it costs a network to look at its pixels before it reads them: the ratio first.

    python -m benchmarks.network_checks [--images 16] [--rounds 10]

Runs both small networks on noise images on one thread, with their checks and without, in turn, and prints the median of
the rounds' ratios and of the seconds of processor time.
"""

from __future__ import annotations

import argparse
import time
from unittest.mock import patch

import numpy as np
import torch

from finnex.models import FinNeXMultiScaleCNN, FinNeXViT, multiscale_cnn, vit

NETWORKS = {"multiscale_cnn": (FinNeXMultiScaleCNN, multiscale_cnn), "vit": (FinNeXViT, vit)}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=10)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    images = 0.02 + 0.98 * torch.rand(chosen.images, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    for name, (kind, module) in NETWORKS.items():
        network = kind(preset="small").eval()

        def seconds(network: torch.nn.Module = network) -> float:
            began = time.process_time()
            with torch.inference_mode():
                network(images)
            return time.process_time() - began

        seconds()
        looked, blind = [], []
        for _ in range(chosen.rounds):
            looked.append(seconds())
            with patch.object(module, "check_pixels", lambda *_, **__: None):
                blind.append(seconds())
        ratio = float(np.median(np.divide(looked, blind)))
        print(
            f"{name}: {ratio:.3f} times the time without; {np.median(looked):.3f} and {np.median(blind):.3f} s for "
            f"{chosen.images} images."
        )


if __name__ == "__main__":
    main()
