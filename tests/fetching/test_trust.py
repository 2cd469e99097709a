"""What `finnex fetch` does when it is stopped, disturbed or asked for strange names."""

from __future__ import annotations

import datetime as dt
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from finnex.data.calendar import last_close
from finnex.fetching import fetch as fetching
from finnex.fetching import fred
from tests.helpers import public_answers as made
from tests.helpers.public_sites import Asked, Reply, Sites
from tests.helpers.public_world import COMMAND, COOKIE, KEY, World, ended, table

FROM = "--start", "2023-06-01", "--end", "2024-03-08"
YAHOO = "--no-funds", "--source", "yahoo"


def data_requests(sites: Sites) -> list[tuple[str, str]]:
    """Return what was asked for, without cookies and crumbs."""
    return [
        (asked.path, json.dumps({name: value for name, value in sorted(asked.query.items()) if name != "crumb"}))
        for asked in sites.asked
        if "yahoo" not in asked.host or asked.path.startswith("/v8/")
    ]


@pytest.mark.parametrize("host", ["api.stlouisfed.org", "data.sec.gov"])
def test_a_killed_run_is_resumed_without_asking_twice(
    host: str, sites: Sites, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    process = subprocess.Popen([sys.executable, "-m", "finnex.cli", *COMMAND])

    def kill(asked: Asked) -> None:
        if asked.host == host:
            process.send_signal(signal.SIGKILL)

    world.watch = kill
    assert process.wait(timeout=120) == -signal.SIGKILL
    answered = [one for one in data_requests(sites) if one != data_requests(sites)[-1]]
    assert answered
    world.watch = lambda _: None
    sites.asked.clear()
    # As a kill in the middle of a file leaves them.
    drafts = [
        Path("inputs") / name for name in (".prices.csv.finnex-0123456789abcdef", "raw/yahoo/.a.gz.finnex-" + 16 * "0")
    ]
    for draft in drafts:
        draft.write_bytes(b"half")
    code, said = ended(capsys, *COMMAND)
    assert code == 0, said
    assert not set(answered) & set(data_requests(sites))
    assert ended(capsys, *COMMAND, "--to", "whole")[0] == 0
    for path in Path("whole").glob("*.csv"):
        assert (Path("inputs") / path.name).read_bytes() == path.read_bytes()
    assert len(list(Path("inputs").glob("*.csv"))) == 5
    assert not any(draft.exists() for draft in drafts)


def test_offline_after_a_later_run_without_a_network_uses_the_last_whole_run(
    sites: Sites, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [part for part in COMMAND if part not in {"--end", "2024-03-08"}]
    closed = last_close("XNYS", np.datetime64("now"))
    with monkeypatch.context() as week_before:
        week_before.setattr(fetching, "last_close", lambda *_: closed - dt.timedelta(days=7))
        assert ended(capsys, *command)[0] == 0
    tables = {path.name: path.read_bytes() for path in Path("inputs").glob("*.csv")}
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nothing listens there
    assert ended(capsys, *command)[0] == 2
    code, said = ended(capsys, *command, "--offline")
    assert code == 0, said
    assert f"Yahoo Finance until {closed - dt.timedelta(days=7)}" in said
    assert {path.name: path.read_bytes() for path in Path("inputs").glob("*.csv")} == tables


def test_a_span_before_the_first_vintage_is_asked_once(sites: Sites, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["fetch", "ACME", "--start", "2016-01-04", "--end", "2024-03-08", "--series", "DGS10", "--source", "fred"]
    assert ended(capsys, *command)[0] == 0
    spans = [asked.query["realtime_end"] for asked in sites.asked if not asked.query.get("offset")]
    assert spans == ["2019-12-31", "2024-03-08"]
    sites.asked.clear()
    assert ended(capsys, *command)[0] == 0
    assert ended(capsys, *command, "--offline")[0] == 0
    assert sites.asked == []


def test_the_earliest_start_asks_for_few_spans(sites: Sites, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["fetch", "ACME", "--start", "0001-01-01", "--end", "1962-01-05", "--series", "DGS10", "--source", "fred"]
    code, said = ended(capsys, *command)
    assert code == 2
    assert "failed: DGS10: FRED gives no values of DGS10 until 1962-01-05" in said
    spans = [(asked.query["realtime_start"], asked.query["realtime_end"]) for asked in sites.asked]
    assert spans == [
        ("1776-07-04", "1949-12-31"), ("1950-01-01", "1954-12-31"), ("1955-01-01", "1959-12-31"),
        ("1960-01-01", "1962-01-05"),
    ]  # fmt: skip


def test_a_refused_key_is_said_once_and_not_shown(
    sites: Sites, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = f"Bad Request.  The value {KEY} for variable api_key is not registered."
    world.broken = {"api.stlouisfed.org": [made.fred_error(refusal)] * 9}
    code, said = ended(capsys, *COMMAND, "--source", "fred")
    assert code == 2
    assert said.count("FRED refuses the key in FRED_API_KEY") == len(sites.asked) == 1
    assert "Not fetched: DGS10, VIXCLS." in said
    assert KEY not in said


def test_a_page_of_a_site_under_repair_is_not_kept_as_an_answer(
    sites: Sites, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Reply(b"<html>Back soon", content_type="text/html")
    hosts = "data.sec.gov", "api.stlouisfed.org", "query2.finance.yahoo.com", "query1.finance.yahoo.com"
    world.broken = {host: [page] * 20 for host in hosts}
    code, said = ended(capsys, *COMMAND)
    assert code == 2, said
    assert not Path("inputs/prices.csv").exists()
    world.broken = {}
    code, said = ended(capsys, *COMMAND)
    assert code == 0, said
    assert len(list(Path("inputs").glob("*.csv"))) == 5


def test_a_split_that_the_source_takes_back_leaves_the_table(
    sites: Sites, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(capsys, "fetch", "ACME", "BETA", *FROM, *YAHOO)[0] == 0
    assert list(table("splits")["symbol"]) == ["ACME", "BETA"]
    for path in Path("inputs/raw/yahoo").iterdir():
        path.unlink()
    world.splits = False
    assert ended(capsys, "fetch", "ACME", *FROM, *YAHOO)[0] == 0
    assert list(table("splits")["symbol"]) == ["BETA"]


@pytest.mark.parametrize("symbol", ["../x", "a/b", "A B", "", ".", "A\nB", "[/b]x", "A?crumb=1", "A%2FB", "AAPL,MSFT"])
def test_what_is_no_symbol_is_refused_before_anything_is_asked(
    symbol: str, sites: Sites, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = ended(capsys, "fetch", symbol, *FROM)
    assert (code, sites.asked) == (2, [])
    assert f"{symbol.upper()!r} is not a symbol" in said
    assert not Path("inputs").exists()


def test_an_index_and_a_fund_have_bars_and_a_note_that_they_file_nothing(
    sites: Sites, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = Reply(b"<Error><Code>NoSuchKey</Code></Error>", 404, "application/xml")
    world.broken = {"data.sec.gov": [facts]}
    command = ["fetch", "^vix", "FUND", *FROM, "--no-funds", "--source", "yahoo", "--source", "sec"]
    for offline in ([], ["--offline"]):
        code, said = ended(capsys, *command, *offline)
        assert code == 0, said
        assert "note: The SEC lists no company under ^VIX" in said
        assert "note: The SEC does not have the facts of FUND" in said
        assert set(table("prices")["symbol"]) == {"^VIX", "FUND"}


def test_a_fund_that_is_younger_than_the_range_is_a_note_and_a_company_a_failure(
    sites: Sites, world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "FUNDS", ("FUND",))
    world.first = {"FUND": dt.date(2024, 6, 3)}
    code, said = ended(capsys, "fetch", "ACME", *FROM, "--source", "yahoo")
    assert code == 0, said
    assert "note: Yahoo Finance has no bars of FUND from 2023-06-01 to 2024-03-08" in said
    assert set(table("prices")["symbol"]) == {"ACME"}
    code, said = ended(capsys, "fetch", "FUND", *FROM, "--source", "yahoo")
    assert code == 2
    assert "failed: FUND: Yahoo Finance has no bars of FUND from 2023-06-01 to 2024-03-08" in said


def test_the_page_that_sets_cookies_is_asked_once(sites: Sites, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(capsys, "fetch", "ACME", "BETA", *FROM, *YAHOO)[0] == 0
    assert [asked.host for asked in sites.asked].count("fc.yahoo.com") == 1
    charts = [asked for asked in sites.asked if asked.path.startswith("/v8/")]
    assert len(charts) == 4
    assert all(COOKIE in asked.headers["Cookie"] for asked in charts)


def test_an_isin_is_refused_without_a_search(sites: Sites, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ended(capsys, "fetch", "US0378331005", *FROM, *YAHOO)
    assert (code, sites.asked) == (2, [])
    assert "US0378331005 is an ISIN" in said


def test_capitals_make_no_second_company(sites: Sites, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(capsys, "fetch", "acme", "ACME", *FROM, *YAHOO)[0] == 0
    assert set(table("prices")["symbol"]) == {"ACME"}
    assert not table("prices").duplicated(["symbol", "date"]).any()


@pytest.mark.parametrize(
    ("series", "said"),
    [
        (["DGS10&api_key=x"], "is no name of FRED's"),
        (["../x"], "is no name of FRED's"),
        ([""], "is no name of FRED's"),
        (["STLFSI3", "STLFSI4"], "STLFSI3 and STLFSI4 are one series here"),
    ],
)
def test_series_that_cannot_be_fetched_are_refused_before_anything_is_asked(
    series: list[str], said: str, sites: Sites, capsys: pytest.CaptureFixture[str]
) -> None:
    code, message = ended(capsys, "fetch", "ACME", *FROM, *(part for one in series for part in ("--series", one)))
    assert (code, sites.asked) == (2, [])
    assert said in message


def test_a_series_may_have_the_name_that_features_use(sites: Sites, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(capsys, "fetch", "ACME", *FROM, "--series", "vix", "--source", "fred")[0] == 0
    assert {asked.query["series_id"] for asked in sites.asked} == {"VIXCLS"}
    assert set(table("macro")["series"]) == {"VIX"}


def test_two_runs_in_one_folder_do_not_mix(sites: Sites, capsys: pytest.CaptureFixture[str]) -> None:
    Path("inputs").mkdir()
    with FileLock("inputs/.finnex-fetch.lock"):
        code, said = ended(capsys, *COMMAND)
        assert (code, sites.asked) == (2, [])
        assert "another `finnex fetch` works in inputs" in said
    assert ended(capsys, *COMMAND)[0] == 0


def test_other_files_in_the_folder_stay_as_they_are(sites: Sites, capsys: pytest.CaptureFixture[str]) -> None:
    others = {"notes.txt": "mine", "news.csv": "a,b\n", "raw/mine.json": "{}", "raw/yahoo/mine.json": '{"file": 5}'}
    for name, text in others.items():
        path = Path("inputs") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert ended(capsys, *COMMAND)[0] == 0
    assert {name: (Path("inputs") / name).read_text() for name in others} == others
    assert "mine" not in Path("inputs/manifest.json").read_text()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("prices.csv", "mine\n", "inputs/prices.csv is not as `finnex fetch` wrote it"),
        ("manifest.json", '{"name": "my web application"}', "inputs/manifest.json cannot be read"),
    ],
)
def test_a_file_of_someone_else_is_never_replaced(
    name: str, text: str, said: str, sites: Sites, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("inputs").mkdir()
    (Path("inputs") / name).write_text(text)
    code, message = ended(capsys, *COMMAND)
    assert (code, sites.asked) == (2, [])
    assert said in message
    assert (Path("inputs") / name).read_text() == text


def test_an_identity_that_no_header_can_hold_is_refused(
    sites: Sites, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for identity in ("Žižek jane@example.org", "Jane\r\nX: 1 jane@example.org"):
        monkeypatch.setenv("EDGAR_IDENTITY", identity)
        code, said = ended(capsys, *COMMAND)
        assert (code, sites.asked) == (2, [])
        assert "Write the name without accents" in said


def test_the_configuration_names_only_companies_with_bars(sites: Sites, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(capsys, "fetch", "ACME", "NONE", *FROM, *YAHOO)[0] == 2
    assert 'symbols = ["ACME"]' in Path("inputs/finnex.toml").read_text()
    code, said = ended(capsys, *COMMAND)
    assert code == 0
    assert 'kept as it is; add macro = "macro.csv" in its [inputs] and fundamentals = "fundamentals.csv"' in said


def test_offline_without_kept_answers_makes_no_folder(sites: Sites, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ended(capsys, *COMMAND, "--offline")
    assert code == 2
    assert "inputs holds no kept answers" in said
    assert not Path("inputs").exists()
    assert ended(capsys, *COMMAND, "--source", "yahoo")[0] == 0
    code, said = ended(capsys, *COMMAND, "--offline", "--source", "fred")
    assert code == 2
    assert "failed: FRED: inputs holds no kept answers of it" in said


def test_series_are_those_of_features_under_their_newest_names() -> None:
    assert fred.checked_series(["stlfsi", "Vix", "dgs10"]) == ("STLFSI4", "VIXCLS", "DGS10")
    assert {"STLFSI4", "VIXCLS", "NASDAQCOM", "DCOILWTICO", "DGS10"} <= set(fred.SERIES)
    assert not {"STLFSI", "STLFSI2", "VIX", "SPY"} & set(fred.SERIES)
