"""Can the networks learn what is there, and do they find nothing where nothing is? Both `small` networks.

    python -m benchmarks.accept_models                       # everything: about twenty minutes on one core
    python -m benchmarks.accept_models --only lead --network vit
    python -m benchmarks.accept_models --only lead --batch-size 32      # against the default of [training]

Three kinds of planted market (`benchmarks.markets`), always tested on later dates than a network was trained on:

- cell: the label is the state of one of the nine cells; above 95 %, from 1,000 images;
- lead: the label is which of two cells leads, by 1 to 12 sessions at a random place in the window, or that neither
  does; above 85 % in every quarter of the lags, from 3,000 images. `--only lead_both_signs` asks the harder question,
  in which events rise or fall; nothing is promised there;
- shuffled: labels are dealt out at random; five seeds together stay in the 99.9 % interval of the majority class.

Each result is appended to `--results` as it comes, and what stands there is not done again: an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.markets import CELLS, MAX_LAG, Market, Verdict, lead_market, learn, one_cell_market
from finnex.config.training import TrainingSettings
from finnex.models import FinNeXMultiScaleCNN, FinNeXViT

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "multiscale_cnn": partial(FinNeXMultiScaleCNN, preset="small"), "vit": partial(FinNeXViT, preset="small"),
}  # fmt: skip
KINDS = ("lead", "cell", "shuffled", "lead_both_signs")
SEEDS = 5
QUARTERS = 4
TEST = 600
LEAST = {"cell": 0.95, "lead": 0.85}


def wilson(right: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a share (Wilson 1927)."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (right + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(right * (n - right) / n + z * z / 4)
    return centre - half, centre + half


def trial(
    network: str, market: Market, epochs: int, train: int, validation: int, *, seed: int = 0, **settings: Any
) -> Verdict:
    """Train a network of that seed on a market."""
    torch.manual_seed(seed)
    return learn(
        NETWORKS[network](), market, train=train, validation=validation, epochs=epochs, seed=seed, threads=1, **settings
    )


def cell(network: str, number: int, **settings: Any) -> dict[str, Any]:
    market = one_cell_market(CELLS[number], 1000 + TEST, seed=number)
    verdict = trial(network, market, epochs=3, train=900, validation=100, **settings)
    return {"name": " ".join(CELLS[number]), "bound": market.bound, "parts": {"all": counted(verdict.right)}}


def lead(network: str, *, both_signs: bool, **settings: Any) -> dict[str, Any]:
    market = lead_market(3000 + TEST, seed=1, both_signs=both_signs)
    verdict = trial(network, market, epochs=4, train=2700, validation=300, **settings)
    lag = market.lag[verdict.rows]
    step = MAX_LAG // QUARTERS
    parts = {"all": counted(verdict.right), "neither": counted(verdict.right[lag == 0])}
    for quarter in range(QUARTERS):
        first, last = quarter * step + 1, (quarter + 1) * step
        parts[f"lag {first}-{last}"] = counted(verdict.right[(lag >= first) & (lag <= last)])
    return {"name": "who leads", "bound": market.bound, "parts": parts}


def shuffled(network: str, seed: int, **settings: Any) -> dict[str, Any]:
    market = one_cell_market(CELLS[0], 700, seed=100 + seed)
    dealt = np.random.default_rng(seed).permutation(market.label)
    market = replace(market, label=dealt)
    verdict = trial(network, market, epochs=2, train=300, validation=100, seed=seed, **settings)
    majority = np.bincount(dealt[:300]).argmax()
    return {
        "name": f"seed {seed}", "parts": {"all": counted(verdict.right)},
        "majority": counted(market.label[verdict.rows] == majority),
    }  # fmt: skip


def counted(right: np.ndarray[Any, Any]) -> list[int]:
    return [int(right.sum()), len(right)]


def tasks(kinds: list[str], networks: list[str], **settings: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield a key, the network, and what to do; the order is that of what tells most first."""
    for kind in kinds:
        rounds = {"cell": len(CELLS), "shuffled": SEEDS}.get(kind, 1)
        for number in range(rounds):
            for network in networks:
                do = {
                    "cell": lambda n=network, i=number: cell(n, i, **settings),
                    "shuffled": lambda n=network, i=number: shuffled(n, i, **settings),
                    "lead": lambda n=network: lead(n, both_signs=False, **settings),
                    "lead_both_signs": lambda n=network: lead(n, both_signs=True, **settings),
                }[kind]
                yield (
                    " ".join([f"{kind} {number}", *(f"{key}={value}" for key, value in settings.items())]),
                    network,
                    do,
                )


def table(results: list[dict[str, Any]]) -> str:
    """Return what is known so far; says plainly what misses its mark."""
    lines = ["| rule | network | right of n | % (95 % Wilson) | asked | |", "|---|---|---|---|---|---|"]
    order = {kind: number for number, kind in enumerate(KINDS)}
    for found in sorted(results, key=lambda f: (order[f["kind"]], f["key"], f["network"])):
        if found["kind"] == "shuffled":
            continue
        for part, (right, n) in found["parts"].items():
            low, high = wilson(right, n)
            least = LEAST.get(found["kind"])
            mark = "" if least is None else ("ok" if right / n > least else "MISSED")
            asked = "-" if least is None else f"> {100 * least:.0f}"
            signs = ", rise or fall" if found["kind"] == "lead_both_signs" else ""
            signs += (
                "" if found["batch_size"] == TrainingSettings().batch_size else f", batches of {found['batch_size']}"
            )
            lines.append(
                f"| {found['name']}{signs}{'' if part == 'all' else ', ' + part} | {found['network']} | {right} of {n} "
                f"| {100 * right / n:.1f} ({100 * low:.1f} to {100 * high:.1f}) | {asked} | {mark} |"
            )
    for network in NETWORKS:
        own = [f for f in results if f["kind"] == "shuffled" and f["network"] == network]
        if own:
            right, n = np.sum([f["parts"]["all"] for f in own], axis=0)
            guessed, _ = np.sum([f["majority"] for f in own], axis=0)
            low, high = wilson(int(guessed), int(n), 0.999)
            mark = "ok" if low <= right / n <= high else "MISSED"
            lines.append(
                f"| shuffled labels, {len(own)} of {SEEDS} seeds | {network} | {right} of {n} | {100 * right / n:.1f} "
                f"| {100 * low:.1f} to {100 * high:.1f}, the majority's 99.9 % | {mark} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=KINDS)
    parser.add_argument("--network", action="append", choices=list(NETWORKS))
    parser.add_argument("--batch-size", type=int, default=TrainingSettings().batch_size)
    parser.add_argument("--results", type=Path, default=Path("accept_models.jsonl"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    done = [json.loads(line) for line in asked.results.read_text().splitlines()] if asked.results.exists() else []
    settings = {"batch_size": asked.batch_size}
    for key, network, do in tasks(asked.only or list(KINDS[:3]), asked.network or list(NETWORKS), **settings):
        if any((one["key"], one["network"]) == (key, network) for one in done):
            continue
        began, busy = time.perf_counter(), time.process_time()
        found = {"key": key, "kind": key.split()[0], "network": network, **settings, **do()}
        found |= {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - busy}
        done.append(found)
        with asked.results.open("a") as log:
            log.write(json.dumps(found) + "\n")
        print(f"{key} {network}: {found['parts']} in {found['cpu_seconds']:.0f} s of processor time", flush=True)
    print(f"\n{table(done)}")
    bounds = [one["bound"] for one in done if "bound" in one]
    if bounds:
        print(f"\nWhoever knows the rule's form is right in {100 * min(bounds):.1f} % of dates or more.")
    missed = table(done).count("MISSED")
    if missed:
        raise SystemExit(f"{missed} lines miss their mark.")


if __name__ == "__main__":
    main()
