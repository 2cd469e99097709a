"""The documents name files and modules that exist."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
PATHS = re.compile(
    r"\b(?:finnex|flows|tests|benchmarks|docs|deployments|docker|examples)/[\w/.-]+\.(?:py|md|toml|yaml|csv|sh)"
)
NAMES = re.compile(r"`((?:finnex|flows)(?:\.\w+)+)")
NO_MODULES = ("finnex.toml",)


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_and_module_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    gone = [path for path in PATHS.findall(text) if not (ROOT / path).exists()]
    gone += [name for name in NAMES.findall(text) if name not in NO_MODULES and not exists(name)]
    assert gone == []


def test_what_is_gone_is_noticed() -> None:
    assert PATHS.findall("see `finnex/store/gone.py`") == ["finnex/store/gone.py"]
    assert not exists("finnex.store.gone")
    assert exists("finnex.store.ImageStore")
