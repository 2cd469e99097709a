from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from finnex.config import SECTOR_ETFS, parse_config
from finnex.data.features import compute, make_context
from finnex.data.features.calendar_events import TABLE_EVENTS
from finnex.data.names import CONCEPTS, EVENTS, METRICS, SERIES, SERIES_ALIASES, unread
from finnex.data.readers import READERS
from finnex.data.tables import read_tables
from finnex.data.warnings import input_warnings
from finnex.exam.random_market import random_market, write_market


class Recorder(dict[str, Any]):
    """A mapping that keeps the names it is asked for."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)


def test_the_names_listed_are_those_that_features_read(tmp_path: Path) -> None:
    market = random_market(300, 0)
    config = write_market(tmp_path, market.tables, market.settings)
    context = make_context(market.tables, config, config.symbols[0])
    recorder = Recorder(context.section.observations)
    priced = frozenset((config.symbols[0], *context.peers))
    with np.errstate(all="ignore"):
        compute(replace(context, section=replace(context.section, observations=recorder, priced=priced)))
    assert recorder.asked - set(SECTOR_ETFS) == set(SERIES)
    assert set(TABLE_EVENTS.values()) == set(EVENTS)


def test_a_name_that_no_feature_reads_is_said_with_the_nearest(tmp_path: Path) -> None:
    market = random_market(300, 1)
    config = write_market(tmp_path, market.tables, market.settings)
    tables = market.tables
    assert tables.macro is not None
    tables = replace(tables, macro=tables.macro[tables.macro["series"] != "CPIAUCSL"])
    assert [one for one in input_warnings(tables, config) if "read by no feature" in one or "no row of" in one] == []
    assert tables.macro is not None
    assert tables.fundamentals is not None
    assert tables.events is not None
    wrong = replace(
        tables,
        macro=pd.concat([tables.macro, tables.macro.iloc[:1].assign(series="DGS100")], ignore_index=True),
        fundamentals=tables.fundamentals.assign(symbol=tables.fundamentals["symbol"] + ".US", revenues=1.0),
        events=tables.events.assign(name="FOMC_MEETING"),
    )
    said = "\n".join(input_warnings(wrong, config))
    assert "macro: the series 'DGS100' (did you mean 'DGS10'?) is read by no feature" in said
    assert "fundamentals: the column 'revenues' (did you mean 'revenue'?) is read by no feature" in said
    assert "events: the name 'FOMC_MEETING'" in said
    assert f"Did you mean '{config.symbols[0]}.US'?" in said


@pytest.mark.parametrize(("alias", "name"), SERIES_ALIASES.items())
def test_freds_own_name_of_a_series_is_read_as_ours(alias: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "macro.csv"
    path.write_text(f"series,date,available_date,value\n{alias},2024-01-02,2024-01-02,13\n")
    assert READERS["macro"](path, [])["series"].tolist() == [name]


def test_nothing_is_said_of_names_that_are_read() -> None:
    assert unread(["VIX", "DGS10"], SERIES) == []
    assert unread(["something else"], SERIES) == ["'something else'"]


def test_the_page_of_inputs_lists_every_name_that_is_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text()
    listed = page[page.index("## Names that are read") :]
    assert [name for name in (*SERIES, *SERIES_ALIASES, *EVENTS, *METRICS, *CONCEPTS) if name not in listed] == []


def test_ignore_silences_a_right_name_that_no_feature_reads(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("symbol,date,open,high,low,close,volume\nACME,2024-03-07,1,1,1,1,1\n")
    (tmp_path / "filed.csv").write_text(
        "symbol,period_end,available_date,revenue,eps\nACME,2023-12-31,2024-02-01,10,1\nACME,2023-09-30,2023-11-01,9,1\n"
    )
    (tmp_path / "macro.csv").write_text("series,date,available_date,value\nGDPC1,2023-10-01,2024-01-25,100\n")

    def warned(fundamentals: dict[str, object]) -> list[str]:
        inputs = {"prices": "prices.csv", "fundamentals": fundamentals, "macro": "macro.csv"}
        document: dict[str, object] = {"inputs": inputs, "symbols": ["ACME"], "store": {"path": "i.zarr"}}
        config = parse_config(document, tmp_path / "finnex.toml")
        return [one for one in input_warnings(read_tables(config), config) if "read by no feature" in one]

    macro, filed = warned({"path": "filed.csv"})
    assert macro.startswith("macro: the series 'GDPC1' is read by no feature. Nothing is lost by leaving out")
    assert "the column 'eps' is read by no feature. In the table's line of [inputs], ignore = [\"eps\"]" in filed
    assert "Correct" not in macro + filed
    assert warned({"path": "filed.csv", "ignore": ["eps"]}) == [macro]
