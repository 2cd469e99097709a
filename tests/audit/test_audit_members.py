"""A table of companies: what it says of days after a session must change nothing before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.panel import symbols_of, write_config, write_tables
from finnex.audit import AuditReport, Verdict, audit
from finnex.config import Config, load_config
from finnex.data.panel import Panel, make_panel
from finnex.data.tables import Tables

COMPANIES, SESSIONS, DRAWN = 6, 340, 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tables(tmp_path, COMPANIES, SESSIONS)
    return tmp_path


def days_of(folder: Path) -> list[str]:
    return [str(day)[:10] for day in np.sort(pd.read_parquet(folder / "prices.parquet")["date"].unique())]


def configured(folder: Path, rows: dict[str, str]) -> Config:
    """Return the configuration of the last sessions, with a row of from and to for each company."""
    text = Path(write_config(folder, COMPANIES)).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(("peers", "start"))]
    lines.insert(0, f"start = {days_of(folder)[-DRAWN]}")
    lines.insert(lines.index("[inputs]") + 1, 'companies = "companies.csv"')
    names = symbols_of(COMPANIES)
    table = "symbol,industry,from,to\n" + "".join(f"{name},Chips,{rows.get(name, ',')}\n" for name in names)
    (folder / "companies.csv").write_text(table, encoding="utf-8")
    (folder / "finnex.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load_config(folder / "finnex.toml")


def of_companies(report: AuditReport) -> Verdict:
    [found] = [one for one in report.tables if one.name == "companies"]
    return found


def changing(folder: Path) -> Config:
    """A universe that one company joins and another leaves two sessions before the end."""
    day = days_of(folder)[-2]
    return configured(folder, {"C0003": f"{day},", "C0004": f",{day}"})


def members_at_all_times(tables: Tables, config: Config, symbol: str, entries: Sequence[Any]) -> Panel:
    """Take everyone of the table for a member on every day: what a list of today's members does."""
    assert tables.companies is not None
    return make_panel(
        replace(tables, companies=tables.companies.assign(**{"from": pd.NaT, "to": pd.NaT})), config, symbol, entries
    )


def test_members_that_join_or_leave_later_change_nothing_before(folder: Path) -> None:
    report = audit(changing(folder), sessions=2, symbols=["C0000"])
    found = of_companies(report)
    assert found.computation.word == "causal"
    assert found.computation.evidence.startswith("2 later first or last days changed nothing before, and ")
    assert "members_as_supplied" in found.notes
    assert "members_as_supplied" in report.caveats
    assert not [one for one in report.findings if one.table == "companies"]


def test_a_panel_of_todays_members_is_a_leak_that_names_the_table_and_the_row(folder: Path) -> None:
    report = audit(changing(folder), sessions=2, symbols=["C0000"], make=members_at_all_times)
    assert of_companies(report).computation.word == "leak"
    [finding] = [one for one in report.findings if one.table == "companies"]
    assert finding.rows[0].key == "C0003"
    assert finding.rows[0].day == days_of(folder)[-2]


def test_a_universe_without_later_dates_is_not_called_causal(folder: Path) -> None:
    found = of_companies(audit(configured(folder, {}), sessions=1, symbols=["C0000"]))
    assert found.computation.word == "not shown"


def test_a_named_peer_that_becomes_a_member_later_is_no_leak(folder: Path) -> None:
    config = changing(folder).model_copy(update={"peers": ("C0001", "C0003", "C0004")})
    report = audit(config, sessions=2, symbols=["C0000"])
    assert of_companies(report).computation.word == "causal"
    assert not [one for one in report.findings if one.table == "companies"]


def moving(folder: Path) -> Config:
    """A universe whose first company moves to the industry of half of the others two sessions before the end."""
    config, (*_, last, ahead, _) = configured(folder, {}), days_of(folder)
    names = symbols_of(COMPANIES)
    rows = [f"{name},{('Chips', 'Banks')[number % 2]},,\n" for number, name in enumerate(names) if number]
    table = ["symbol,industry,from,to\n", f"C0000,Chips,,{last}\n", f"C0000,Banks,{ahead},\n", *rows]
    (folder / "companies.csv").write_text("".join(table), encoding="utf-8")
    return config


def in_its_last_industry(tables: Tables, config: Config, symbol: str, entries: Sequence[Any]) -> Panel:
    """Take a company for one of its last industry on every day: what a list of today's industries does."""
    assert tables.companies is not None
    companies = tables.companies.copy()
    own = companies["symbol"] == symbol
    in_order = companies[own].sort_values("from", na_position="first")
    companies.loc[own, "industry"] = in_order["industry"].iloc[-1]
    return make_panel(replace(tables, companies=companies), config, symbol, entries)


def test_the_audited_company_that_changes_its_industry_later_changes_nothing_before(folder: Path) -> None:
    found = of_companies(audit(moving(folder), sessions=2, symbols=["C0000"]))
    assert found.computation.word == "causal"


def test_a_company_taken_for_one_of_its_last_industry_is_a_leak_that_names_its_own_row(folder: Path) -> None:
    report = audit(moving(folder), sessions=2, symbols=["C0000"], make=in_its_last_industry)
    assert of_companies(report).computation.word == "leak"
    [finding] = [one for one in report.findings if one.table == "companies"]
    assert finding.rows[0].key == "C0000"
