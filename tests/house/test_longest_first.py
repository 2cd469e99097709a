"""Two workers end together: files are handed out longest first, and those that share a server to one worker."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest
from tests.helpers.longest_first import SECONDS, SHARED, longest_first

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Item:
    nodeid: str


@dataclass
class Worker:
    """A worker as the scheduler of pytest-xdist sees it."""

    name: str
    given: list[int] = field(default_factory=list)
    shutting_down: bool = False

    @property
    def gateway(self) -> Any:
        return SimpleNamespace(id=self.name)

    def __hash__(self) -> int:
        return hash(self.name)

    def send_runtest_some(self, numbers: list[int]) -> None:
        self.given += numbers

    def shutdown(self) -> None:
        self.shutting_down = True


def files_of(items: list[Item]) -> list[str]:
    return list(dict.fromkeys(item.nodeid.partition("::")[0] for item in items))


def test_every_file_of_the_tables_is_there_and_shares_what_its_group_says() -> None:
    shared = [file for files in SHARED.values() for file in files]
    assert [file for file in [*SECONDS, *shared] if not (ROOT / file).is_file()] == []
    assert len(shared) == len(set(shared))
    for group, plugin in (("the stack", "tests.helpers.servers"), ("the registry", "tests.helpers.registry")):
        named = {
            str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")
            if re.search(rf'^pytest_plugins = .*"{plugin}"', path.read_text(), re.MULTILINE)
        }  # fmt: skip
        alone = {"tests/integration/test_security.py"}  # starts stacks of its own, and takes as long as the others
        assert named - alone == set(SHARED[group])


def test_the_longest_files_come_first_and_all_others_in_their_order() -> None:
    others = ["tests/a/test_b.py", "tests/a/test_a.py"]
    items = [Item(f"{file}::test_{number}") for file in [*others, *sorted(SECONDS)] for number in (2, 1)]
    conftest.pytest_collection_modifyitems(given := list(items))  # type: ignore[arg-type]
    assert given == longest_first(items)
    assert sorted(map(str, given)) == sorted(map(str, items))
    assert [item.nodeid[-1] for item in given] == ["2", "1"] * len(files_of(items))
    order = files_of(given)
    assert order[-2:] == others
    groups: dict[str, list[str]] = {}
    for file in order[:-2]:
        groups.setdefault(next((name for name, files in SHARED.items() if file in files), file), []).append(file)
    assert [file for files in groups.values() for file in files] == order[:-2]
    seconds = [[SECONDS[file] for file in files] for files in groups.values()]
    assert [sum(one) for one in seconds] == sorted(map(sum, seconds), reverse=True)
    assert seconds == [sorted(one, reverse=True) for one in seconds]


def test_the_scheduler_gives_files_out_in_this_order_and_what_shares_a_server_to_one_worker() -> None:
    stack = SHARED["the stack"]
    names = [f"{file}::test_it" for file in (*stack, "tests/pipeline/test_build.py", "tests/a/test_a.py")]
    names += [f"tests/a/test_many.py::test_{number}" for number in range(9)]
    collected = [item.nodeid for item in longest_first(map(Item, names))]
    given = {"dist": "loadfile", "tx": ["2*popen"], "verbose": 0}
    config: Any = SimpleNamespace(getvalue=given.get, option=SimpleNamespace(loadscopereorder=False, verbose=0))
    scheduler = conftest.pytest_xdist_make_scheduler(config, None)
    workers = [Worker("gw0"), Worker("gw1")]
    for worker in workers:
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, collected)
    scheduler.schedule()
    first, second = ([collected[number].partition("::")[0] for number in worker.given] for worker in workers)
    assert set(first) == set(stack)
    assert second[:2] == ["tests/pipeline/test_build.py", "tests/a/test_a.py"]
    given["dist"] = "load"
    assert conftest.pytest_xdist_make_scheduler(config, None) is None


@pytest.mark.parametrize("target", ["test", "integration", "check", "accept"])
def test_every_target_keeps_the_order(target: str) -> None:
    text = (ROOT / "Makefile").read_text()
    assert re.search(r"^BY_FILE := .*--dist loadfile --no-loadscope-reorder$", text, re.MULTILINE)
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    assert recipe is not None
    assert re.search(r"-m pytest .*\$\(BY_FILE\)$", recipe[1], re.MULTILINE)
