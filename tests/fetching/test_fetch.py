"""`finnex fetch` against made-up answers over real HTTPS: yfinance, fredapi and edgartools parse them."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout

from finnex.fetching.fetch import LOCK
from tests.helpers import public_answers as made
from tests.helpers.public_sites import Reply, Sites
from tests.helpers.public_world import COMMAND, COOKIE, CRUMB, END, KEY, START, WORDS, World, ended, table


def test_tables_are_in_the_forms_of_finnex(sites: Sites, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ended(capsys, *COMMAND)
    assert code == 0, said
    prices = table("prices")
    assert list(prices.columns) == ["symbol", "date", "open", "high", "low", "close", "volume"]
    expected = [str(day) for day in world.days if START <= str(day) <= END]
    assert list(prices["date"]) == [expected[0], *expected[2:]]  # a bar without prices is no bar
    assert list(prices.iloc[0]) == ["ACME", START, "100.125", "101.125", "99.125", "100.125", "1000"]
    assert table("splits").to_numpy().tolist() == [["ACME", str(made.SPLIT), "4"]]
    assert table("dividends").to_numpy().tolist() == [["ACME", str(made.DIVIDEND), "0.25"]]
    macro = table("macro")
    assert macro.columns.tolist() == ["series", "date", "available_date", "value"]
    assert macro.to_numpy().tolist() == [
        ["DGS10", "2023-05-26", "2023-05-31", "3.8"],  # known before: as of the day before the first session
        ["DGS10", "2023-06-02", "2023-06-05", "3.69"],
        ["DGS10", "2023-06-02", "2023-07-01", "3.7"],
        ["DGS10", "2024-01-02", "2024-01-03", "3.95"],
        ["VIX", "2023-06-01", "2023-06-01", "15.5"],
    ]
    assert table("fundamentals").to_numpy().tolist() == [
        ["ACME", "revenue", "2023-01-01", "2023-03-31", "2023-05-01", "100", "USD", "sec"],
        ["ACME", "revenue", "2023-01-01", "2023-03-31", "2023-11-01", "90", "USD", "sec"],
        ["ACME", "revenue", "2023-01-01", "2023-06-30", "2023-08-01", "220", "USD", "sec"],
        ["ACME", "shares_outstanding", "", "2023-04-20", "2023-05-01", "5000", "", "sec"],
        ["ACME", "total_assets", "", "2023-03-31", "2023-05-01", "900", "USD", "sec"],
    ]
    agents = {asked.headers["User-Agent"] for asked in sites.asked if asked.host.endswith("sec.gov")}
    assert agents == {WORDS["EDGAR_IDENTITY"]}


def test_a_fetched_folder_builds_images(sites: Sites, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ended(capsys, *COMMAND)
    assert code == 0, said
    config = Path("inputs/finnex.toml")
    config.write_text(config.read_text().replace("# start = 2015-01-02", "start = 2024-03-07"))
    code, said = ended(capsys, "build", "--config", str(config), "--workers", "0", "--json")
    assert code == 0, said
    assert json.JSONDecoder().raw_decode(said)[0]["built"] == 2


def test_the_running_session_is_left_out(sites: Sites, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    command = [part for part in COMMAND if part not in {"--end", END}]
    assert ended(capsys, *command, "--source", "yahoo")[0] == 0
    assert table("prices")["date"].max() == str(world.days[-1])  # the site appends a later bar, whatever is asked


def test_a_second_run_asks_nothing_and_offline_makes_the_same_tables(
    sites: Sites, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ended(capsys, *COMMAND)[0] == 0
    tables = {path.name: path.read_bytes() for path in Path("inputs").glob("*.csv")}
    assert len(tables) == 5
    sites.asked.clear()
    code, said = ended(capsys, *COMMAND, "--json")
    assert (code, json.loads(said)["requests"], sites.asked) == (0, 0, [])
    for path in Path("inputs").glob("*.csv"):
        path.unlink()
    for name in WORDS:
        monkeypatch.delenv(name)
    code, said = ended(capsys, *COMMAND, "--offline")
    assert (code, sites.asked) == (0, []), said
    assert {path.name: path.read_bytes() for path in Path("inputs").glob("*.csv")} == tables


def test_what_is_not_kept_is_named_offline(sites: Sites, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(capsys, *COMMAND)[0] == 0
    sites.asked.clear()
    code, said = ended(capsys, *COMMAND, "BETA", "--offline")
    assert (code, sites.asked) == (2, [])
    assert said.count("failed: Yahoo Finance: no kept answers of BETA for this range.") == 1
    assert "/v8/" not in said
    assert "without --offline" in said


def test_a_damaged_answer_is_asked_again_and_is_no_answer_offline(
    sites: Sites, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(capsys, *COMMAND, "--source", "sec")[0] == 0
    facts = max(Path("inputs/raw/sec").glob("*.gz"), key=lambda path: path.stat().st_size)
    facts.write_bytes(facts.read_bytes()[:-20])
    assert ended(capsys, *COMMAND, "--source", "sec", "--offline")[0] == 2
    sites.asked.clear()
    assert ended(capsys, *COMMAND, "--source", "sec")[0] == 0
    assert len(sites.asked) == 1


def test_the_manifest_says_what_came_from_where_and_holds_no_secret(
    sites: Sites, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.broken = {"query2.finance.yahoo.com": [Reply(b"", 401)]}  # so that yfinance asks for a crumb and sends it
    assert ended(capsys, *COMMAND)[0] == 0
    assert any(asked.query.get("crumb") == CRUMB for asked in sites.asked)
    said = json.loads(Path("inputs/manifest.json").read_bytes())
    assert {answer["source"] for answer in said["answers"]} == {"yahoo", "fred", "sec"}
    for answer in said["answers"]:
        body = gzip.decompress((Path("inputs/raw") / answer["file"]).read_bytes())
        assert hashlib.sha256(body).hexdigest() == answer["sha256"]
        assert len(body) == answer["size"] > 0
        assert "https://" in answer["terms"]
        assert dt.datetime.fromisoformat(answer["fetched_at"]).utcoffset() == dt.timedelta(0)
    for path in Path("inputs").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            text = gzip.decompress(data) if path.suffix == ".gz" else data
            for secret in (KEY, "jane.doe", COOKIE, CRUMB):
                assert secret.encode() not in text
                assert secret not in str(path)


def test_a_busy_source_is_given_time_and_asked_again(
    sites: Sites, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    wait = {"Retry-After": "0"}
    world.broken = {
        "data.sec.gov": [Reply(b"", 503, headers=wait), Reply(b"", 429, headers=wait)],
        "api.stlouisfed.org": [Reply(b"", 500, headers=wait)],
        "query2.finance.yahoo.com": [Reply(b"", 429, headers=wait)],
    }
    code, said = ended(capsys, *COMMAND)
    assert code == 0, said
    assert not any(world.broken.values())


def test_a_source_that_fails_leaves_the_others_and_its_table(
    sites: Sites, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(capsys, *COMMAND)[0] == 0
    before = Path("inputs/macro.csv").read_bytes()
    world.broken = {"api.stlouisfed.org": [Reply(b"", 503, headers={"Retry-After": "0"})] * 4}
    code, said = ended(capsys, *COMMAND, "BETA", "--series", "UNRATE")
    assert code == 2
    assert "FRED is busy or refuses (HTTP 503" in said
    assert "Not fetched: UNRATE" in said
    assert set(table("prices")["symbol"]) == {"ACME", "BETA"}
    assert Path("inputs/macro.csv").read_bytes() == before


def test_an_unknown_symbol_or_series_fails_alone(sites: Sites, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ended(capsys, *COMMAND, "NONE", "--series", "NOSUCH")
    assert code == 2
    assert "failed: NONE: Yahoo Finance gives no bars of NONE" in said
    assert "failed: NOSUCH: FRED gives no values of NOSUCH (Bad Request.  The series does not exist)" in said
    assert "note: The SEC lists no company under NONE" in said
    assert set(table("prices")["symbol"]) == {"ACME"}
    assert set(table("macro")["series"]) == {"DGS10", "VIX"}


def test_further_symbols_are_added_and_an_edited_table_or_configuration_is_kept(
    sites: Sites, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(capsys, *COMMAND, "--source", "yahoo")[0] == 0
    config = Path("inputs/finnex.toml").read_text() + "# mine\n"
    Path("inputs/finnex.toml").write_text(config)
    code, said = ended(capsys, "fetch", "BETA", *COMMAND[2:], "--source", "yahoo")
    assert code == 0
    assert "inputs/finnex.toml is kept as it is; add BETA in its symbols." in said
    assert Path("inputs/finnex.toml").read_text() == config
    assert set(table("prices")["symbol"]) == {"ACME", "BETA"}
    edited = Path("inputs/prices.csv").read_text() + "ACME,2024-03-11,1,1,1,1,1\n"
    Path("inputs/prices.csv").write_text(edited)
    sites.asked.clear()
    code, said = ended(capsys, *COMMAND)
    assert (code, sites.asked) == (2, [])
    assert "inputs/prices.csv is not as `finnex fetch` wrote it, and is not overwritten" in said
    assert Path("inputs/prices.csv").read_text() == edited


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("FRED_API_KEY", None, "FRED_API_KEY is not set in the environment"),
        ("EDGAR_IDENTITY", None, "EDGAR_IDENTITY in the environment holds none"),
        ("EDGAR_IDENTITY", "jane.doe@example.org", "EDGAR_IDENTITY in the environment holds none"),
    ],
)
def test_without_key_or_identity_nothing_is_asked(
    name: str, value: str | None, said: str, sites: Sites, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    code, message = ended(capsys, *COMMAND)
    assert code == 2
    assert said in message
    assert "--source yahoo" in message
    assert sites.asked == []
    assert not Path("inputs").exists()


def test_without_a_network_each_source_says_so_once(
    sites: Sites, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nothing listens there
    code, said = ended(capsys, *COMMAND)
    assert code == 2
    for title, names in (("Yahoo Finance", "ACME"), ("FRED", "DGS10, VIXCLS"), ("the SEC's EDGAR", "ACME")):
        assert said.count(f"failed: {title} cannot be reached (") == 1
        assert f"Not fetched: {names}.\n" in said
    assert "Traceback" not in said
    assert KEY not in said
    assert "until" not in said  # no source answered
    assert "--offline" not in said  # nothing is kept
    assert not Path("inputs").exists()


def test_the_folder_that_a_run_made_in_vain_is_removed_under_its_lock(
    sites: Sites, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Path] = []

    def watched(folder: Path | str, **options: Any) -> None:
        if folder == Path("inputs"):
            with pytest.raises(Timeout), FileLock(str(folder / LOCK), timeout=0):
                pass
            removed.append(folder)
        rmtree(folder, **options)

    rmtree = shutil.rmtree
    monkeypatch.setattr("finnex.fetching.fetch.shutil.rmtree", watched)
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nothing listens there
    assert ended(capsys, *COMMAND)[0] == 2
    assert removed == [Path("inputs")]
    assert not Path("inputs").exists()


def test_where_key_and_identity_lack_each_sentence_names_the_sources_that_can_be_asked(
    sites: Sites, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FRED_API_KEY")
    monkeypatch.delenv("EDGAR_IDENTITY")
    code, message = ended(capsys, *COMMAND)
    assert code == 2
    assert re.findall(r" out with (.*)\.$", message, re.MULTILINE) == ["--source yahoo", "--source yahoo"]
    assert ended(capsys, *COMMAND, "--source", "yahoo")[0] == 0  # as it says


def test_offline_says_in_one_line_a_source_what_is_not_kept(sites: Sites, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(capsys, *COMMAND)[0] == 0
    code, said = ended(capsys, "fetch", "BETA", "GAMMA", "DELTA", "ACME", "OTHER", *COMMAND[2:], "--offline")
    assert code == 2
    assert said.count("failed: ") == said.count("no kept answers of ") == 2
    assert "BETA, GAMMA, DELTA and 1 more" in said
    assert "EDGAR's" not in said


def test_without_the_extra_one_sentence_says_how_to_install_it(tmp_path: Path) -> None:
    hidden = (
        "import importlib.util as u, sys; found, extra = u.find_spec, sys.argv[1].split()\n"
        "u.find_spec = lambda name, *rest: None if name in extra else found(name, *rest)\n"
        "from finnex.cli import main; main(sys.argv[2:])"
    )
    extra = "tenacity yfinance curl_cffi fredapi edgar"
    command = [sys.executable, "-c", hidden, extra, *COMMAND]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | WORDS, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"finnex: `finnex fetch` needs libraries that are not installed ({extra.replace(' ', ', ')}). "
        "Install them: pip install 'finnex[fetch]'.\n"
    )


def test_requests_are_spaced_and_the_home_stays_as_it_was(sites: Sites, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-m", "finnex.cli", *COMMAND]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []
    assert done.stderr == ""  # none of the libraries' warnings
    moments = [asked.at for asked in sites.asked if asked.host == "api.stlouisfed.org"]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert len(gaps) > 1
    assert min(gaps) > 0.3  # half a second, less what the way takes
