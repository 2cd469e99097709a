"""The command line keeps its word: one JSON object, one clear message, the store as it was."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from finnex.cli import main
from finnex.cli.template import FILE, configuration_text
from finnex.config import Config, Section, parse_config

BUILD_KEYS = {"left_out", "built", "skipped", "failed", "seconds", "images_per_second", "fingerprint"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "finnex.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


Told = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """Run a command in this process, whose modules are loaded: a process of its own takes seconds before it begins."""

    def run_here(*arguments: str) -> subprocess.CompletedProcess[str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        screen = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), screen.out, screen.err)

    return run_here


def tree(folder: Path) -> dict[str, str]:
    """Return a checksum of every file below a folder, by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def built_project(tmp_path_factory: pytest.TempPathFactory, sample_inputs: dict[str, Path]) -> Path:
    """A folder with a configuration, a table of prices and a store of ten sessions."""
    folder = tmp_path_factory.mktemp("project")
    prices = pd.read_csv(sample_inputs["prices"], dtype=str)
    chosen = prices["symbol"].isin(["NVDA", "AAPL"]) & prices["date"].between("2014-01-01", "2015-06-30")
    prices[chosen].to_csv(folder / "prices.csv", index=False)
    text = configuration_text({"prices": "prices.csv"}, ["NVDA", "AAPL"])
    (folder / FILE).write_text(
        text.replace("# start = 2015-01-02", "start = 2015-03-02").replace("# end = 2024-03-08", "end = 2015-03-06")
    )
    done = run("build", "--config", str(folder / FILE), "--workers", "0", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["built"] == 10
    return folder


@pytest.fixture
def project(built_project: Path, tmp_path: Path) -> Path:
    """A copy of the built project that a test may spoil."""
    return Path(shutil.copytree(built_project, tmp_path / "project"))


Spoil = Callable[[Path], list[str]]


def cell(row: int, column: str, value: str) -> Spoil:
    """Return what puts a value into one cell of the prices table; `row` counts as an editor does."""

    def spoil(folder: Path) -> list[str]:
        prices = pd.read_csv(folder / "prices.csv", dtype=str)
        prices.loc[row - 2, column] = value
        prices.to_csv(folder / "prices.csv", index=False)
        return []

    return spoil


def drop_column(folder: Path) -> list[str]:
    pd.read_csv(folder / "prices.csv", dtype=str).drop(columns="close").to_csv(folder / "prices.csv", index=False)
    return []


def repeat_row(folder: Path) -> list[str]:
    prices = pd.read_csv(folder / "prices.csv", dtype=str)
    pd.concat([prices, prices.iloc[[7]]]).to_csv(folder / "prices.csv", index=False)
    return []


def remove_table(folder: Path) -> list[str]:
    (folder / "prices.csv").unlink()
    return []


def configuration(old: str, new: str) -> Spoil:
    def spoil(folder: Path) -> list[str]:
        text = (folder / FILE).read_text()
        assert old in text
        (folder / FILE).write_text(text.replace(old, new))
        return []

    return spoil


def options(*given: str) -> Spoil:
    return lambda _: list(given)


BAD_INPUT = {
    "missing file": (remove_table, ["prices", "prices.csv", "does not exist", "Correct the path"]),
    "missing column": (drop_column, ["prices.csv", "column 'close'", "missing"]),
    "duplicate key": (repeat_row, ["prices.csv", "row ", "earlier row", "Keep one"]),
    "non-numeric price": (cell(12, "open", "n/a"), ["prices.csv", "row 12", "column 'open'", "'n/a'", "Correct"]),
    "negative price": (cell(9, "close", "-3.5"), ["prices.csv", "row 9", "column 'close'", "-3.5", "above zero"]),
    "high below low": (cell(5, "high", "0.01"), ["prices.csv", "row 5", "column 'high'", "0.01", "below low"]),
    "unparsable date": (
        cell(3, "date", "02/30/14"),
        ["prices.csv", "row 3", "column 'date'", "02/30/14", "YYYY-MM-DD"],
    ),
    "unknown symbol in the configuration": (configuration('"AAPL"', '"AAPPL"'), ["AAPPL", "AAPL"]),
    "unknown symbol on the command line": (options("--symbol", "NVAD"), ["NVAD", "Did you mean 'NVDA'?"]),
    "empty range": (
        options("--start", "2015-03-07", "--end", "2015-03-08"),
        ["2015-03-07", "2015-03-08", "no session"],
    ),
    "range backwards": (options("--start", "2015-03-08", "--end", "2015-03-02"), ["2015-03-08", "empty", "Swap"]),
    "date option that does not parse": (options("--start", "3 March"), ["--start", "3 March", "YYYY-MM-DD"]),
    "unknown configuration key": (configuration("[store]", "[store]\nfolder = 1"), [FILE, "store.folder", "path"]),
    "unknown layout": (configuration('# layout = "mega"', 'layout = "mgea"'), ["mgea", "mega"]),
    "no scheduler at the address": (
        configuration("[dask] ", '[dask]\naddress = "tcp://127.0.0.1:9"\n#'),
        ["tcp://127.0.0.1:9", "dask scheduler"],
    ),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_told_in_one_message_and_leaves_the_store_as_it_was(
    name: str, project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, expected = BAD_INPUT[name]
    monkeypatch.setattr("flows.clusters.cluster.CONNECT_SECONDS", 2)
    before = tree(project / "images.zarr")
    extra = spoil(project)
    workers = [] if "scheduler" in name else ["--workers", "0"]
    with pytest.raises(SystemExit) as ending:
        main(["build", "--config", str(project / FILE), *workers, "--json", *extra])
    told = capsys.readouterr()
    assert ending.value.code == 2
    assert told.out == ""
    assert "Traceback" not in told.err
    for part in expected:
        assert part in told.err
    assert tree(project / "images.zarr") == before


def test_a_bad_table_is_told_the_same_way_by_the_real_process(project: Path) -> None:
    cell(9, "close", "-3.5")(project)
    done = run("build", "--config", str(project / FILE))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("finnex: ")
    assert "Traceback" not in done.stderr
    assert "row 9, column 'close'" in done.stderr


def test_an_unwritable_store_is_told_and_nothing_is_made(project: Path, told: Told) -> None:
    (project / "file").write_text("not a folder")
    configuration('path = "images.zarr"', 'path = "file/images.zarr"')(project)
    done = told("build", "--config", str(project / FILE), "--workers", "0")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "[store] path" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_configuration_is_told(tmp_path: Path, told: Told) -> None:
    done = told("build", "--config", str(tmp_path / "nowhere.toml"))
    assert done.returncode == 2
    assert "nowhere.toml" in done.stderr
    assert "finnex init" in done.stderr


def test_usage_errors_exit_with_2() -> None:
    done = run("build")
    assert done.returncode == 2
    assert "--config" in done.stderr


def test_a_second_build_draws_nothing_and_prints_one_json_object(project: Path) -> None:
    before = tree(project / "images.zarr")
    done = run("build", "--config", str(project / FILE), "--workers", "0", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert set(answer) == BUILD_KEYS
    assert (answer["built"], answer["skipped"], answer["failed"]) == (0, 10, 0)
    after = tree(project / "images.zarr")
    after.pop(".finnex/scrub.json", None)  # which images were read and compared
    before.pop(".finnex/scrub.json", None)
    assert after == before
    assert done.stderr == ""


def test_info_tells_what_the_store_holds_as_one_json_object(project: Path) -> None:
    done = run("info", "--config", str(project / FILE), "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    nvda = answer["symbols"]["NVDA"]
    assert (nvda["ready"], nvda["failed"], nvda["first"], nvda["last"]) == (5, 0, "2015-03-02", "2015-03-06")
    assert 0.9 < nvda["coverage"]["price_chart"] <= 1
    assert answer["inputs"]["prices"] == {"first": "2014-01-02", "last": "2015-06-30"}
    assert answer["layout_hash"] == answer["store_layout_hash"]
    assert answer["fingerprint"]
    assert answer["synthetic_tables"] == []
    assert "available_at" in answer["decision_rule"]
    assert answer["label_settings"]["horizon"] == 5


def test_a_quarantined_session_stays_withheld_by_a_build_until_it_is_released(project: Path, told: Told) -> None:
    config = ("--config", str(project / FILE))
    done = told("quarantine", "NVDA", "2015-03-03", "--reason", "frozen [bold] feed", *config)
    assert (done.returncode, done.stdout) == (0, "Quarantined 1 of 1 sessions of NVDA.\n"), done.stderr
    assert json.loads(told("build", *config, "--workers", "0", "--json").stdout)["built"] == 0
    nvda = json.loads(told("info", *config, "--json").stdout)["symbols"]["NVDA"]
    assert (nvda["ready"], nvda["quarantined"]) == (4, 1)
    assert "quarantined: NVDA 2015-03-03: frozen [bold] feed" in told("info", *config).stdout
    assert json.loads(told("build", *config, "--workers", "0", "--json", "--force").stdout)["built"] == 10
    assert json.loads(told("info", *config, "--json").stdout)["symbols"]["NVDA"]["quarantined"] == 1
    done = told("release", "NVDA", "2015-03-03", *config)
    assert (done.returncode, done.stdout) == (0, "Released 1 of 1 sessions of NVDA.\n"), done.stderr
    nvda = json.loads(told("info", *config, "--json").stdout)["symbols"]["NVDA"]
    assert (nvda["ready"], nvda["quarantined"]) == (5, 0)


def test_what_cannot_be_quarantined_is_refused_in_one_sentence(project: Path, told: Told) -> None:
    for arguments, words in (
        (("quarantine", "NVDA", "2015-03-07", "--reason", "x"), "2015-03-07 is no session of NVDA"),
        (("quarantine", "NVDA", "2015-03-09", "--reason", "x"), "that is empty cannot become quarantined"),
        (("release", "NVDA", "soon"), "'soon' is not a date"),
        (("release", "NVDX", "2015-03-03"), "Did you mean 'NVDA'?"),
    ):
        done = told(*arguments, "--config", str(project / FILE))
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_info_works_before_there_is_a_store(project: Path, told: Told) -> None:
    shutil.rmtree(project / "images.zarr")
    done = told("info", "--config", str(project / FILE), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["symbols"] == {}


def test_show_refuses_a_session_that_is_not_published(project: Path, tmp_path: Path, told: Told) -> None:
    done = told("show", "--config", str(project / FILE), "NVDA", "2015-03-07", "--out", str(tmp_path / "a.png"))
    assert done.returncode == 2
    assert "2015-03-07" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "a.png").exists()


def test_init_writes_a_configuration_once(tmp_path: Path, told: Told) -> None:
    assert run("init", str(tmp_path / "new")).returncode == 0
    text = (tmp_path / "new" / FILE).read_text()
    again = told("init", str(tmp_path / "new"))
    assert again.returncode == 2
    assert "kept as it is" in again.stderr
    assert (tmp_path / "new" / FILE).read_text() == text


def keys(model: type[Section], prefix: str = "") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, Section):
            found |= keys(nested, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def flat(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found = {}
    for name, value in document.items():
        if isinstance(value, dict) and f"{prefix}{name}" not in {
            "inputs.quote_delay_minutes",
            "inputs.columns",
            "dask.options",
        }:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def test_the_new_configuration_shows_every_key_with_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FINNEX_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    given = configuration_text({"prices": "prices.csv"}, ["AAPL"])
    lines = [
        line.removeprefix("# ") if " = " in line.split("#")[1 if line[0] == "#" else 0] else line
        for line in given.splitlines()
        if line
    ]
    shown = flat(tomllib.loads("\n".join(lines)))
    assert set(shown) == keys(Config)
    (tmp_path / "prices.csv").touch()
    defaults = flat(parse_config(tomllib.loads(given), tmp_path / FILE).model_dump(mode="json"))
    assert defaults["state.path"] == str(tmp_path / shown["state.path"])
    for key in keys(Config) - {"symbols", "store.path", "state.path"}:
        if not key.startswith("inputs.") and defaults[key] is not None:
            assert shown[key] == defaults[key], key


def test_help_is_instant() -> None:
    """Counted in processor time: another process on the same core adds to it, importing pandas adds twice as much."""
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.4


def test_help_loads_no_heavy_library() -> None:
    heavy = "('numpy', 'pandas', 'pydantic', 'prefect', 'torch', 'zarr', 'rich')"
    code = f"import sys, finnex.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"


def test_qa_checks_a_store_writes_its_report_and_exits_with_1_on_damage(project: Path, told: Told) -> None:
    report = project / "quality" / "report.html"

    def checked() -> tuple[int, dict[str, Any]]:
        done = told("qa", "--config", str(project / FILE), "--sample", "8", "--out", str(report), "--json")
        return done.returncode, json.loads(done.stdout)

    code, answer = checked()
    failed = [check["name"] for check in answer["checks"] if not check["passed"]]
    assert "checksums" not in failed
    assert code == bool(failed)
    assert "variety: macro economic" in report.read_text()
    chunk = next((project / "images.zarr" / "NVDA" / "image").glob("c.*"))
    chunk.write_bytes(chunk.read_bytes()[:-10])
    code, answer = checked()
    assert code == 1
    assert "checksums" in [check["name"] for check in answer["checks"] if not check["passed"]]
