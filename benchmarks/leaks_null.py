"""False alarms: what the audit finds in clean random markets, in which nothing knows the future.

`python -m benchmarks.leaks_null [--markets 100] [--seed 0] [--workers 2]` audits markets of 260 to 1,000 sessions and
prints every finding, each a false alarm. The goal is at most one on 100 markets; exit code 1 beyond.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed

ALLOWED = 0.01
"""Findings a market."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sessions", type=int, nargs=2, default=(260, 1000), metavar=("LEAST", "MOST"))
    given = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"  # workers take the cores
    from finnex.exam.exam import null_market, null_sizes

    alarms, seconds = 0, 0.0
    with ProcessPoolExecutor(given.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        wanted = null_sizes(given.markets, tuple(given.sessions), given.seed)
        for future in as_completed([pool.submit(null_market, seed, sessions) for seed, sessions in wanted]):
            answer = future.result()
            alarms += len(answer.alarms)
            seconds += answer.seconds
            for alarm in answer.alarms:
                print(f"market {answer.seed}, {answer.sessions} sessions: {alarm}", flush=True)
    print(f"{alarms} false alarms on {given.markets} clean markets; {seconds / max(1, given.markets):.0f} s an audit.")
    return int(alarms > ALLOWED * given.markets)


if __name__ == "__main__":
    sys.exit(main())
