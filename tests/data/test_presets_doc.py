"""`docs/presets.md` lists every preset as it is, and its example of one's own has every key and is valid."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from finnex.config import parse_config
from finnex.data.preset import Lag, Preset, PresetFile, bundled
from finnex.data.tables import read_tables
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


def test_the_example_of_a_lexicon_scores_headlines(tmp_path: Path) -> None:
    examples = re.findall(r"```toml\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    document = tomllib.loads(next(one for one in examples if "lexicon" in one))
    (tmp_path / "prices.csv").write_text("symbol,date,open,high,low,close,volume\nACME,2024-03-07,1,1,1,1,1\n")
    (tmp_path / "headlines.csv").write_text("headline,date,stock\nExcellent quarter,2024-03-06 10:00:00+00:00,ACME\n")
    whole = {**document, "symbols": ["ACME"], "store": {"path": "i.zarr"}}
    sentiment = read_tables(parse_config(whole, tmp_path / "finnex.toml")).sentiment
    assert sentiment is not None
    assert sentiment["score"].tolist()[0] > 0.3
