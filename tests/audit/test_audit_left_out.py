"""An audit of a panel of which one company is left out: it is named, and nothing is said of it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.panel import symbols_of, write_config, write_tables
from finnex.audit import audit
from finnex.cli import main
from finnex.config import load_config
from finnex.errors import InputError

COMPANIES, SESSIONS, DRAWN = 3, 320, 10
BAD = symbols_of(COMPANIES)[2]


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    write_tables(tmp_path, COMPANIES, SESSIONS)
    prices = pd.read_parquet(tmp_path / "prices.parquet")
    prices["close"] = prices["close"].where((prices["symbol"] != BAD) | (prices.index % 7 != 3), -1.0)
    prices.to_parquet(tmp_path / "prices.parquet", index=False)
    path = Path(write_config(tmp_path, COMPANIES))
    days = prices["date"].drop_duplicates().sort_values()
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(("peers", "start"))]
    start, leave_out = f"start = {days.iloc[-DRAWN].date()}", 'on_bad_company = "leave out"'
    path.write_text("\n".join([start, leave_out, *lines]) + "\n", encoding="utf-8")
    return path


def test_a_company_that_is_left_out_is_named_and_the_others_are_audited(config_file: Path) -> None:
    report = audit(load_config(config_file), sessions=1)
    assert set(report.sessions) == set(symbols_of(COMPANIES)) - {BAD}
    assert [one.symbol for one in report.left_out] == [BAD]
    [row] = report.as_dict()["left_out"]
    assert row["company"] == BAD
    assert "close" in row["problem"]


def test_a_company_that_is_left_out_cannot_be_asked_for(config_file: Path) -> None:
    with pytest.raises(InputError, match="column 'close'"):
        audit(load_config(config_file), sessions=1, symbols=[BAD])


def test_the_command_says_which_company_it_leaves_out(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["audit", "--config", str(config_file), "--sessions", "1", "--symbol", "C0000"]
    with pytest.raises(SystemExit):
        main(arguments)
    assert f"1 company is left out ({BAD})" in capsys.readouterr().err
