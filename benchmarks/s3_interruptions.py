"""Suspend a writer to a bucket before a random request, let another take over, and resume the first at a random moment.

`python -m benchmarks.s3_interruptions [--interruptions N] [--seed K]`. Real processes and moto's S3 server; leases of a
few seconds. The store must equal one that was not disturbed, and the first writer must end by saying that it lost its
lease. Prints a line each and exits with 1 where one failed. About ten seconds each.
"""

from __future__ import annotations

import argparse
import random
import sys
import uuid

from tests.helpers.buckets import s3_server
from tests.helpers.suspended_writer import LOST, content, interrupt, rehearse, short_leases


def main() -> int:
    """Interrupt, look, count."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--interruptions", type=int, default=30)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    rng, failures = random.Random(given.seed), 0
    short_leases()
    with s3_server() as name:
        calm = f"s3://{name}/calm/images.zarr"
        keys = rehearse(calm)
        wanted = content(calm)
        for _ in range(given.interruptions):
            number, resume = rng.randrange(len(keys)), rng.choice([None, rng.randrange(len(keys))])
            address = f"s3://{name}/{uuid.uuid4().hex}/images.zarr"
            ended, runs = interrupt(address, number, resume)
            found = content(address)
            strange = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
            good = ended == LOST and not strange
            failures += not good
            key = keys[number].partition("images.zarr/")[2]
            print(
                f"{'ok' if good else 'FAILED':6} before request {number:2} ({key}), "
                f"resumed {'at the end' if resume is None else f'at {resume}'}: first ended with {ended}, "
                f"second ran {runs} times {strange or ''}",
                flush=True,
            )
    print(f"{given.interruptions} interruptions, {failures} failures")
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
