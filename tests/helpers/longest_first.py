"""Which files of tests two workers share out, and in which order: together what shares a server, the longest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol, TypeVar

SECONDS = {
    "tests/flows/test_flows.py": 270,
    "tests/pipeline/test_build.py": 145,
    "tests/integration/test_security.py": 85,
    "tests/tracking/test_tracking.py": 85,
    "tests/pipeline/test_damaged_builds.py": 80,
    "tests/store/test_store_bucket.py": 80,
    "tests/data/test_inputs_doc.py": 80,
    "tests/integration/test_up_in_browser.py": 78,
    "tests/audit/test_audit.py": 75,
    "tests/training/test_training.py": 75,
    "tests/tracking/test_forged_models.py": 74,
    "tests/integration/test_crash.py": 74,
    "tests/export/test_export.py": 70,
    "tests/integration/test_production_stack.py": 60,
    "tests/faces/test_workflow.py": 58,
    "tests/faces/test_cnn_training.py": 57,
    "tests/cli/test_cli.py": 55,
    "tests/integration/test_odd_environments.py": 49,
    "tests/flows/test_local_cluster.py": 45,
    "tests/models/test_networks.py": 44,
    "tests/flows/test_arrival.py": 41,
    "tests/fetching/test_trust.py": 40,
    "tests/store/test_repair.py": 40,
    "tests/patches/test_patch_features.py": 38,
    "tests/models/test_network_inputs.py": 36,
    "tests/datasets/test_streaming.py": 36,
    "tests/integration/test_stack.py": 34,
    "tests/reporting/test_tear_sheet.py": 35,
    "tests/flows/test_cluster.py": 34,
    "tests/reporting/test_quality.py": 34,
    "tests/faces/test_notebook_face.py": 33,
    "tests/store/test_store.py": 33,
    "tests/integration/test_flow_damage.py": 31,
    "tests/training/test_saved_network.py": 31,
    "tests/house/test_examples.py": 29,
    "tests/cli/test_hostile_names.py": 27,
}
"""Of the longest files, about what one takes of a worker: `pytest --junitxml`, in `make test` or `make integration`."""
SHARED = {
    "the stack": (
        "tests/flows/test_arrival.py", "tests/flows/test_deployments.py", "tests/flows/test_flows.py",
        "tests/flows/test_panel_flow.py",
        "tests/integration/test_flow_damage.py", "tests/integration/test_flow_failures.py",
        "tests/integration/test_gate.py", "tests/integration/test_hostile_pages.py",
        "tests/integration/test_up_in_browser.py",
    ),
    "the registry": (
        "tests/cli/test_evaluate_command.py", "tests/cli/test_table_commands.py",
        "tests/tracking/test_forged_models.py", "tests/tracking/test_recorded_studies.py",
        "tests/tracking/test_signal_table.py", "tests/tracking/test_tracking.py",
    ),
}  # fmt: skip
"""Files whose fixture of the session takes half a minute; each worker that runs one of them starts its own."""
GROUPS = {file: group for group, files in SHARED.items() for file in files}


class Named(Protocol):
    """What a collected test is here: its `nodeid` is its file and name, as pytest prints them."""

    @property
    def nodeid(self) -> str: ...


N = TypeVar("N", bound=Named)


def group_of(nodeid: str) -> str:
    """Return what a worker is given as a whole: the file of a test, or all files that share a server with it."""
    file = nodeid.partition("::")[0]
    return GROUPS.get(file, file)


def longest_first(items: Iterable[N]) -> list[N]:
    """Return tests with those of the longest group first, of its longest file first, and else in their order.

    `pytest-xdist` hands them out in this order where it is told `--no-loadscope-reorder`; by itself it begins with the
    groups of most tests, and a long file of few tests comes last, while the other worker has nothing to do.
    """
    every = list(items)
    files = {item.nodeid.partition("::")[0] for item in every}
    whole = Counter[str]()
    for file in files:
        whole[group_of(file)] += SECONDS.get(file, 0)
    return sorted(
        every, key=lambda item: (-whole[group_of(item.nodeid)], -SECONDS.get(item.nodeid.partition("::")[0], 0))
    )
