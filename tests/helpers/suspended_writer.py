"""A writer in a process of its own that is suspended before one of its requests, and what becomes of the store.

The first writer publishes, withholds and takes out images; the second does the same for newer inputs, which cover all
that the first may have done: whatever is left of the first, the store must equal one in which it was not disturbed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from finnex.data.calendar import session_calendar
from finnex.errors import StoreBusy
from finnex.store import ImageStore, Receipt, StoreTemplate, StoreWriter, bucket, lease, writing
from finnex.store.journal import read_intent
from finnex.store_path import store_path
from tests.helpers.stores import publish

TEMPLATE = StoreTemplate(
    layout_name="mega", layout_hash="abc", layout_toml="[canvas]", catalogue_csv="name", lookback_sessions=56,
    shape=(16, 16, 3), channels=("red", "green", "blue"), regions=("a", "b"), features=("x", "y"), horizons=(1, 5),
    label_kinds=("price_movement",), label_settings={"threshold": 0.5}, exchange="XNYS",
    synthetic_tables=("sentiment",),
)  # fmt: skip
SHORT = session_calendar("XNYS", date(2015, 12, 1), date(2015, 12, 31)).days
LONG = session_calendar("XNYS", date(2015, 12, 1), date(2016, 12, 30)).days
LEASE_SECONDS, RENEW_SECONDS = 2.5, 0.5
LOST = 3
"""What a writer ends with that lost its lease."""


def short_leases(set_to: Callable[[Any, str, float], None] = setattr) -> None:
    """Let this process hold leases that are over soon."""
    for name, seconds in (
        ("LEASE_SECONDS", LEASE_SECONDS), ("RENEW_SECONDS", RENEW_SECONDS), ("ASK_AGAIN_SECONDS", 0.1),
    ):  # fmt: skip
        set_to(lease, name, seconds)


def image_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.02, 1, (16, 16, 3)).astype(np.float32)


def draw(store: StoreWriter, run: str, index: int, seed: int) -> Receipt:
    draft, crc = store.target("A", run).write(index, image_of(seed))
    return Receipt(index, seed, draft, crc, (1.0, seed / 100), (1.0, 1.0), 0.1)


def label(store: StoreWriter, value: int) -> None:
    store.write_rows("A", "label_price_movement", 0, np.full((10, 2), value, dtype=np.int8))
    store.write_rows("A", "feature_normalized", 0, np.full((10, 2), value / 4, dtype=np.float32))


def begin(address: str) -> None:
    """Make a store with four images."""
    with writing(address):
        store = StoreWriter.prepare(store_path(address), TEMPLATE)
        store.ensure_symbol("A", SHORT, TEMPLATE)
        label(store, 0)
        publish(store, "A", [draw(store, "begin", index, 10 + index) for index in range(4)])


def write(address: str, seed: int) -> None:
    """Write once from the inputs of a day: 20 is the first writer's, 30 the second's."""
    run = uuid.uuid4().hex
    with writing(address, 30):
        store = StoreWriter.prepare(store_path(address), TEMPLATE)
        store.ensure_symbol("A", LONG, TEMPLATE)
        store.lost("A", np.arange(10))
        if seed == 20:
            store.quarantine("A", np.array([2]), "frozen feed")
        label(store, 1 if seed == 20 else 2)
        publish(store, "A", [draw(store, run, index, seed + index) for index in (1, 3, 4, 5)])
        if seed == 20:
            store.mark_no_bar("A", np.array([4, 7]))
            publish(store, "A", [Receipt(6, 1, error="no memory")])
        else:
            publish(store, "A", [draw(store, run, index, seed + index) for index in (2, 4, 6, 7)])


@contextlib.contextmanager
def before_requests(look: Callable[[int, str], None]) -> Iterator[None]:
    """Call `look` with number and key between the last check of the lease and each conditional request."""
    real, number = {name: getattr(bucket, name) for name in ("put_if", "delete_if")}, 0

    def watched(name: str) -> Callable[..., Any]:
        def request(files: Any, target: dict[str, str], *about: Any) -> Any:
            nonlocal number
            look(number, target["Key"])
            number += 1
            return real[name](files, target, *about)

        return request

    for name in real:
        setattr(bucket, name, watched(name))
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(bucket, name, function)


def rehearse(address: str) -> list[str]:
    """Do everything undisturbed; return the keys of the first writer's requests."""
    keys: list[str] = []
    begin(address)
    with before_requests(lambda _, key: keys.append(key)):
        write(address, 20)
    write(address, 30)
    return keys


def suspended(address: str, number: int) -> subprocess.Popen[bytes]:
    """Start the first writer and return it when it has suspended itself before its request of that number."""
    command = [sys.executable, "-m", "tests.helpers.suspended_writer", address, str(number)]
    child = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE)
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        child.returncode = os.waitstatus_to_exitcode(status)
        said = child.stderr.read().decode() if child.stderr else ""
        raise AssertionError(f"the writer ended with {child.returncode} before request {number}: {said[-2000:]}")
    return child


def interrupt(address: str, number: int, resume: int | None = None) -> tuple[int, int]:
    """Let a second writer take over from one that is suspended, which is resumed before the second's request `resume`.

    Where that is None it is resumed when the second is done. Return what the first ended with, and how often the second
    had to run.
    """
    begin(address)
    first, runs = suspended(address, number), 0

    def wake(at: int, _: str) -> None:
        if at == resume and runs == 1:
            os.kill(first.pid, signal.SIGCONT)
            time.sleep(0.3)  # its request arrives now

    try:
        for runs in range(1, 6):  # noqa: B007  `wake` reads it
            with contextlib.suppress(StoreBusy), before_requests(wake):
                write(address, 30)
                break
        os.kill(first.pid, signal.SIGCONT)
        return first.wait(30), runs
    finally:
        if first.poll() is None:
            first.kill()
            first.wait()
        if first.stderr:
            first.stderr.close()


def content(address: str) -> dict[str, Any]:
    """Return all that readers can see of a store, but for clocks and versions."""
    store = ImageStore.open(address)
    assert read_intent(store._place) is None
    record, found = store.record(), dict[str, Any]()
    for symbol in store.symbols:
        assert store.damaged(symbol).tolist() == []
        data = store.open_sessions(symbol).drop_vars(["rendered_at", "image_tag"])
        found |= {f"{symbol}/{name}": data[name].to_numpy().tobytes() for name in data.variables}
        found[f"{symbol} withheld"] = json.dumps(dict(record.companies[symbol].quarantined))
    return found | {"fingerprint": store.fingerprint()}


def main() -> int:
    """Write as the first writer; stop this process before a request."""
    address, number = sys.argv[1], int(sys.argv[2])
    short_leases()

    def look(at: int, _: str) -> None:
        if at == number:
            os.kill(os.getpid(), signal.SIGSTOP)

    try:
        with before_requests(look):
            write(address, 20)
    except StoreBusy as error:
        sys.stderr.write(f"{error}\n")
        return LOST
    return 0


if __name__ == "__main__":
    sys.exit(main())
