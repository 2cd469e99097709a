"""`docs/presets.md` lists every preset as it is, and its example of one's own has every key and is valid."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from finnex.data.preset import Lag, Preset, PresetFile, bundled
from tests.helpers.preset_table import HEADER, table_of_presets

DOC = Path(__file__).parents[2] / "docs" / "presets.md"


def example() -> dict[str, object]:
    """Return the TOML under 'A preset of your own'."""
    text = DOC.read_text(encoding="utf-8").split("## A preset of your own", 1)[1]
    found = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return tomllib.loads(found[1])


def test_the_table_lists_every_preset_as_it_is() -> None:
    lines = DOC.read_text(encoding="utf-8").splitlines()
    start = lines.index(HEADER) + 2
    rows = []
    while lines[start].startswith("|"):
        rows.append(lines[start])
        start += 1
    assert rows == table_of_presets()
    assert len(rows) == len(bundled()) >= 13


def test_the_example_is_valid_and_has_every_key() -> None:
    whole = PresetFile.model_validate(example())
    given = {name for table in whole.tables() for name in whole.of(table).model_fields_set}  # type: ignore[union-attr]
    assert given == set(Preset.model_fields)
    assert whole.macro is not None
    lags = [*whole.macro.lags.values(), *whole.macro.lags_by_period.values()]
    assert {name for lag in lags for name in lag.model_fields_set} == set(Lag.model_fields)
