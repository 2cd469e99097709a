"""False alarms: what the audit finds in clean random markets, in which nothing knows the future.

`python -m benchmarks.leaks_null [--markets 100] [--seed 0] [--workers 2]` audits markets of 260 to 1,000 sessions and
prints every finding, each a false alarm. The goal is at most one on 100 markets; exit code 1 beyond.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed

from finnex.exam.exam import NullAnswer, null_market, null_sizes

ALLOWED = 0.01
"""Findings a market."""


def tell(answers: Iterable[NullAnswer]) -> int:
    """Print every alarm and their number; return 1 where there are too many."""
    markets, alarms, seconds = 0, 0, 0.0
    for answer in answers:
        markets, seconds = markets + 1, seconds + answer.seconds
        alarms += len(answer.alarms)
        for alarm in answer.alarms:
            print(f"market {answer.seed}, {answer.sessions} sessions: {alarm}", flush=True)
    print(f"{alarms} false alarms on {markets} clean markets; {seconds / markets:.0f} s an audit.")
    return int(alarms > ALLOWED * markets)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sessions", type=int, nargs=2, default=(260, 1000), metavar=("LEAST", "MOST"))
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # workers take the cores
    wanted = null_sizes(given.markets, tuple(given.sessions), given.seed)
    with ProcessPoolExecutor(given.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        asked = [pool.submit(null_market, seed, sessions) for seed, sessions in wanted]
        return tell(future.result() for future in as_completed(asked))


if __name__ == "__main__":
    sys.exit(main())
