"""What Prefect costs: a backfill through it beside the same build without it, a night, and its database.

`python -m benchmarks.orchestration --data FOLDER [--symbol S]` starts a Prefect server, MLflow, the flows and a Dask
cluster of two worker processes, and prints each figure beside its limit. FOLDER holds prices, macro, fundamentals and
sentiment; without it the bundled sample is used, whose history is shorter.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

SESSIONS = 2520
YEAR = 252
NIGHTS = 10
NIGHTS_KEPT = 63
"""Runs are kept for 90 days, events for three: `flows.servers.services` says so to the server."""
EVENTS_KEPT = 3
SETTLE_SECONDS = 12
"""The server writes its events a few seconds after they happened."""


@dataclass(frozen=True)
class Line:
    """A measurement beside its limit."""

    what: str
    value: float
    limit: float
    unit: str

    def __str__(self) -> str:
        """Return it as a row of the table."""
        return f"{self.what:64} {self.value:8.2f} {self.limit:8.2f} {self.unit}"


def database_bytes(state: Path) -> tuple[int, int]:
    """Return the pages in use of Prefect's database, in bytes: all of them, and those of events."""
    time.sleep(SETTLE_SECONDS)
    query = "SELECT m.tbl_name, SUM(d.pgsize) FROM dbstat d JOIN sqlite_master m ON m.name = d.name GROUP BY m.tbl_name"
    with sqlite3.connect(f"file:{state / 'prefect' / 'prefect.db'}?mode=ro", uri=True) as connection:
        tables = {name: int(size) for name, size in connection.execute(query)}
    return sum(tables.values()), sum(size for name, size in tables.items() if name.startswith("event"))


def run_seconds(runs: Any, deployment: str, request: Any) -> float:
    """Run a deployment to its end; return the time between its states Running and Completed."""
    from prefect.client.orchestration import SyncPrefectClient

    run = runs.start(deployment, request)
    runs.follow(run, lambda *_: None)
    with SyncPrefectClient(f"{runs.address}/api") as client:
        found = client.read_flow_run(run)
    return float(found.total_run_time.total_seconds())


def project(folder: Path, inputs: dict[str, str], symbol: str, address: str) -> Callable[..., Path]:
    """Return a maker of configuration files over the chosen tables, drawn on the cluster."""

    def make(name: str, first: date, last: date) -> Path:
        tables = "\n".join(f'{table} = "{path}"' for table, path in inputs.items())
        path = folder / name / "finnex.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f'symbols = ["{symbol}"]\nstart = {first}\nend = {last}\n[inputs]\n{tables}\n'
            '[store]\npath = "images.zarr"\n'
            f'[dask]\naddress = "{address}"\ndates_per_task = 50\n'
        )
        return path

    return make


def night_seconds(runs: Any, make: Callable[..., Path], name: str, days: Any) -> float:
    """Fill a store but for its last session, then return what the night takes that draws it."""
    from finnex.config import load_config
    from finnex.pipeline import build
    from flows.prefect_api.requests import NightlyRequest

    build(load_config(make(name, days[0].item(), days[-2].item())))
    config = make(name, days[0].item(), days[-1].item())
    request = NightlyRequest(config=str(config), wait_minutes=0)
    seconds = run_seconds(runs, "finnex-nightly/nightly", request)
    again = load_config(config)
    assert build(again).skipped == len(days)
    return seconds


def measure(folder: Path, inputs: dict[str, str], symbol: str) -> list[Line]:
    """Return every line of the table."""
    from finnex.config import load_config
    from finnex.data.features import symbol_calendar
    from finnex.data.tables import read_tables
    from finnex.pipeline import build
    from flows.clusters.local import local_cluster
    from flows.prefect_api.requests import BackfillRequest, NightlyRequest
    from flows.prefect_api.runs import FlowRuns
    from flows.servers.stack import Stack

    with local_cluster(2, "2GiB") as client, Stack(folder / "state", prefect_port=0, mlflow_port=0) as stack:
        runs = FlowRuns(stack.prefect_address)
        make = project(folder, inputs, symbol, client.scheduler.address)
        some = load_config(make("calendar", date(2000, 1, 1), date(2000, 1, 1) + timedelta(days=1)))
        days = symbol_calendar(read_tables(some), some, symbol).days[56:]
        chosen = days[-SESSIONS:]
        first, last = chosen[0].item(), chosen[-1].item()
        warm = make("warm", chosen[-60].item(), last)
        build(load_config(warm), client=client)
        runs.follow(runs.start("finnex-backfill/backfill", BackfillRequest(config=str(warm))), lambda *_: None)

        bare = build(load_config(make("bare", first, last)), client=client)
        before, _ = database_bytes(stack.state)
        flow = run_seconds(runs, "finnex-backfill/backfill", BackfillRequest(config=str(make("flow", first, last))))
        thousand = (database_bytes(stack.state)[0] - before) / len(chosen)
        year = night_seconds(runs, make, "year", days[-YEAR:])
        fifteen = night_seconds(runs, make, "all", days)
        nightly = NightlyRequest(config=str(folder / "year" / "finnex.toml"), wait_minutes=0)
        before, events_before = database_bytes(stack.state)
        for _ in range(NIGHTS):
            run_seconds(runs, "finnex-nightly/nightly", nightly)
        after, events_after = database_bytes(stack.state)
        events = (events_after - events_before) / NIGHTS
        rest = (after - before) / NIGHTS - events
        a_year = (after + events * EVENTS_KEPT + rest * NIGHTS_KEPT) / 1e6
    print(f"{symbol}: build of {bare.built} sessions without Prefect {bare.seconds:.1f} s, through it {flow:.1f} s")
    print(f"a night adds {events / 1e3:.0f} kB of events and {rest / 1e3:.0f} kB of runs to {before / 1e6:.1f} MB\n")
    return [
        Line(f"backfill of {len(chosen)} sessions, longer than without Prefect", flow - bare.seconds, 2, "s"),
        Line(f"a night, one session on a store of {YEAR}", year, 5, "s"),
        Line(f"a night, one session on a store of {len(days)}", fifteen, 8, "s"),
        Line("Prefect's database, growth by 1,000 backfilled sessions", thousand, 250, "kB"),
        Line("Prefect's database after a year of nights, with retention", a_year, 20, "MB"),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder with prices.csv.gz, macro.csv.gz, ...; absent, the bundled sample")
    parser.add_argument("--symbol", default="NVDA")
    arguments = parser.parse_args()
    from finnex.sample import sample_tables

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.data:
            tables = ("prices", "macro", "fundamentals", "sentiment")
            inputs = {table: str(Path(arguments.data).resolve() / f"{table}.csv.gz") for table in tables}
        else:
            inputs = {table: str(path) for table, path in sample_tables(folder / "inputs").items()}
        lines = measure(folder, inputs, arguments.symbol)
    print(f"{'what':64} {'measured':>8} {'limit':>8}")
    for line in lines:
        print(line)


if __name__ == "__main__":
    main()
