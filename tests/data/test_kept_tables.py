"""A table that did not change is not parsed again, and no result differs for it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.panel import symbols_of, write_tables
from finnex.cli import main
from finnex.config import Config, load_config
from finnex.data import kept_tables, table_reader, warnings
from finnex.data.kept_frame import decoded, encoded
from finnex.data.remarks import Caution, FileReport, remark, remarks, reports, with_reports
from finnex.data.tables import Tables, read_sound_tables, read_tables
from finnex.data.warnings import input_warnings, reading_notes
from finnex.errors import InputError
from finnex.files.kept_files import digest_of

COMPANIES, SESSIONS = 3, 260
KINDS = [field.name for field in fields(Tables)]
CONFIG = f"""\
symbols = {symbols_of(COMPANIES)}
sectors = []
[store]
path = "images.zarr"
[dask]
workers = 0
[inputs]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of table, most with something to say of it."""
    folder = tmp_path_factory.mktemp("made")
    write_tables(folder, COMPANIES, SESSIONS)
    bars = pd.read_parquet(folder / "prices.parquet")
    days, rng = bars["date"].unique(), np.random.default_rng(0)
    dated = bars[["symbol", "date"]]
    odd = bars.assign(note="x", symbol=bars["symbol"].where(bars.index % 97 != 5, "OTHER"))
    odd.loc[odd.index % 50 == 7, ["open", "high", "low", "close"]] = np.nan
    odd.to_csv(folder / "prices.csv", index=False)
    pd.read_parquet(folder / "filings.parquet").to_csv(folder / "fundamentals.csv", index=False)
    records = pd.read_parquet(folder / "sentiment.parquet")
    records.loc[3, "symbol"] = ""
    text = records["score"].map(lambda score: "a good day" if score > 0 else "a loss")
    records.assign(score=records["score"].where(records.index % 3 > 0), text=text).to_csv(
        folder / "sentiment.csv", index=False
    )
    macro = pd.read_parquet(folder / "macro.parquet")
    macro.assign(value=macro["value"].where(macro["series"] != "VIX")).to_csv(folder / "macro.csv", index=False)
    values = rng.normal(size=len(bars))
    dated.assign(peer="C0000", margin=values).iloc[::-1].to_csv(folder / "competitive.csv", index=False)
    dated.assign(implied_volatility=np.abs(values)).to_csv(folder / "options.csv", index=False)
    dated.assign(factor=values, gap=np.where(values > 0, values, np.nan)).to_csv(folder / "enhanced.csv", index=False)
    bars.assign(factor=values).to_parquet(folder / "with_bars.parquet", index=False)
    pd.DataFrame({"name": "FOMC", "date": days[::20], "announced": days[0]}).to_csv(folder / "events.csv", index=False)
    pd.DataFrame({"symbol": "C0001", "date": days[50:51], "ratio": 2}).to_csv(folder / "splits.csv", index=False)
    companies = pd.DataFrame({"symbol": symbols_of(COMPANIES), "sector": ["Technology", "", "Energy"], "colour": "red"})
    companies.assign(**{"from": [days[0], pd.NaT, pd.NaT]}).to_csv(folder / "companies.csv", index=False)
    lines = [f'{name} = "{name}.csv"\n' for name in KINDS]
    (folder / "finnex.toml").write_text(CONFIG + "".join(lines) + 'lexicon = "vader"\n')
    return folder


@pytest.fixture
def study(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tables, each kept however small, in a state folder of its own."""
    for path in made.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setenv("FINNEX_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(kept_tables, "LEAST_BYTES", 0)
    return tmp_path


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of tables whose files were read since the test began, in their order; the warnings are 'warnings'."""
    found: list[str] = []
    read, said = table_reader.TableReader.read, warnings._warnings

    def spy(self: table_reader.TableReader, *given: Any, **also: Any) -> pd.DataFrame:
        found.append(self.table)
        return read(self, *given, **also)

    def spy_on_warnings(*given: Any) -> list[str]:
        found.append("warnings")
        return said(*given)

    monkeypatch.setattr(table_reader.TableReader, "read", spy)
    monkeypatch.setattr(warnings, "_warnings", spy_on_warnings)
    return found


def of(study: Path) -> Config:
    return load_config(study / "finnex.toml")


def changed_line(study: Path, name: str, line: str) -> None:
    path = study / "finnex.toml"
    path.write_text(path.read_text().replace(f'{name} = "{name}.csv"', f"{name} = {line}"))


def read(study: Path) -> Tables:
    """Read the tables, and look at their warnings."""
    config = of(study)
    found = read_tables(config)
    input_warnings(found, config)
    return found


def bits(frame: pd.DataFrame) -> list[bytes]:
    return [column.to_numpy().tobytes() for _, column in frame.items() if column.dtype != "str"]


def same(one: Tables, other: Tables) -> None:
    for name in KINDS:
        mine, theirs = getattr(one, name), getattr(other, name)
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True, check_column_type=True, check_index_type="exact")
        assert (type(mine.index), mine.columns.dtype) == (type(theirs.index), theirs.columns.dtype)
        assert bits(mine) == bits(theirs)
        assert remarks(mine) == remarks(theirs)
        assert list(map(type, remarks(mine))) == list(map(type, remarks(theirs)))
        assert reports(mine) == reports(theirs)
        for a, b in zip(reports(mine), reports(theirs), strict=True):
            assert list(map(type, a.said)) == list(map(type, b.said))
            assert (list(a.used), list(a.others)) == (list(b.used), list(b.others))
        for column in mine:
            assert type(mine[column].array) is type(theirs[column].array)
            assert mine[column].array.dtype == theirs[column].array.dtype
        mine.iloc[:1, 0] = mine.iloc[:1, 0]  # values can be set, as in tables that were read


def test_every_kind_of_table_is_as_it_was_read(
    study: Path, parsed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = (study / "finnex.toml").read_text()
    (study / "shown.toml").write_text(text.replace('enhanced = "enhanced.csv"', ""))  # no catalogue has its columns

    def seen() -> tuple[Tables, list[str], list[str], str, str]:
        config = of(study)
        found = read_tables(config)
        with pytest.raises(SystemExit):
            main(["inputs", "--config", str(study / "shown.toml"), "--json"])
        printed = capsys.readouterr()
        return found, input_warnings(found, config), reading_notes(found, config), printed.out, printed.err

    first = seen()
    assert set(parsed) == {*KINDS, "warnings"}
    assert all(remarks(getattr(first[0], name)) for name in ("prices", "macro", "companies"))
    assert len(first[1]) > 3
    assert json.loads(first[3])["tables"]["prices"]
    parsed.clear()
    second = seen()
    assert parsed == []
    assert second[1:] == first[1:]
    same(second[0], first[0])
    state = study / "state"
    assert {path.name for path in state.iterdir()} == {"tables"}
    assert len(list((state / "tables").iterdir())) == len(KINDS) + 2  # sentences of two configurations


def test_bars_of_an_enhanced_file_and_its_features_are_two_tables(study: Path, parsed: list[str]) -> None:
    path = study / "finnex.toml"
    path.write_text(CONFIG + 'enhanced = "with_bars.parquet"\n')
    first = read(study)
    assert parsed == ["enhanced", "enhanced", "warnings"]
    second = read(study)
    assert len(parsed) == 3
    for name in ("prices", "enhanced"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name), check_exact=True)
    assert list(second.prices) != list(second.enhanced if second.enhanced is not None else ())


def edited(name: str, edit: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change a file's bytes and put its size and times back."""

    def change(study: Path) -> None:
        path = study / name
        about = path.stat()
        content = edit(path.read_bytes())
        assert len(content) == about.st_size
        path.write_bytes(content)
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))

    return change


def last_digit(content: bytes) -> bytes:
    at = max(content.rfind(str(digit).encode()) for digit in range(10))
    return content[:at] + (b"1" if content[at : at + 1] == b"2" else b"2") + content[at + 1 :]


def other_symbols(study: Path) -> None:
    path = study / "finnex.toml"
    path.write_text(path.read_text().replace(", 'C0002'", "", 1))


def a_new_name(study: Path) -> None:
    (study / "options.csv").rename(study / "figures.csv")
    changed_line(study, "options", '"figures.csv"')


def of_symbols(*names: str) -> set[str]:
    return {*names, "warnings"}


@pytest.mark.parametrize(
    ("change", "read_again"),
    [
        (edited("options.csv", last_digit), of_symbols("options")),
        (edited("companies.csv", lambda content: content.replace(b"Energy", b"Enorgy")), of_symbols("companies")),
        (lambda study: changed_line(study, "options", '{ path = "options.csv", lag_days = 1 }'), of_symbols("options")),
        (lambda study: changed_line(study, "macro", '{ path = "macro.csv", scale = 0.5 }'), of_symbols("macro")),
        (lambda study: changed_line(study, "events", '{ path = "events.csv", timezone = "Asia/Tokyo" }'),
         of_symbols("events")),
        (lambda study: changed_line(study, "enhanced", '{ path = "enhanced.csv", missing = ["-"] }'),
         of_symbols("enhanced")),
        (a_new_name, of_symbols("options")),
        (other_symbols, of_symbols()),  # a company of the table stays wanted, and the warnings are of fewer
    ],
)  # fmt: skip
def test_any_change_is_read(
    study: Path,
    parsed: list[str],
    change: Callable[[Path], None],
    read_again: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read(study)
    change(study)
    parsed.clear()
    now = read(study)
    assert set(parsed) == read_again
    monkeypatch.setenv("FINNEX_HOME", str(study / "another"))
    same(now, read(study))
    monkeypatch.setenv("FINNEX_HOME", str(study / "state"))
    parsed.clear()
    read(study)
    assert parsed == []


def test_other_wanted_symbols_lexicon_and_rows_left_out_are_read(study: Path, parsed: list[str]) -> None:
    path = study / "finnex.toml"
    text = path.read_text().replace('companies = "companies.csv"\n', "")
    path.write_text(text.replace("sectors", "peers = ['C0000']\nsectors"))
    read(study)
    other_symbols(study)
    parsed.clear()
    assert set(read(study).prices["symbol"]) == {"C0000", "C0001"}
    assert set(parsed) == {*KINDS, "warnings"} - {"companies", "macro", "events"}
    path.write_text(path.read_text().replace("vader", "loughran_mcdonald"))
    parsed.clear()
    try:
        read(study)
    except Exception as error:  # the extra need not be there: it is asked for
        assert "loughran" in str(error)  # noqa: PT017
    assert "sentiment" in parsed
    path.write_text(path.read_text().replace("loughran_mcdonald", "vader"))
    parsed.clear()
    read_sound_tables(of(study))
    assert set(parsed) == {*KINDS} - {"companies", "macro", "events"}


@pytest.mark.parametrize("name", ["code_digest", "FORMAT", "_rules_of"])
def test_another_code_format_or_time_zone_is_read(
    study: Path, parsed: list[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    read(study)
    parsed.clear()
    monkeypatch.setattr(kept_tables, name, 2 if name == "FORMAT" else lambda *_: "another")
    read(study)
    assert set(parsed) == {*KINDS, "warnings"}


def test_a_preset_of_ones_own_counts_with_its_text(study: Path, parsed: list[str]) -> None:
    own = 'title = "Own"\nsource = "https://example.com"\n[options]\nignore = ["note"]\n'
    (study / "own.toml").write_text(own)
    changed_line(study, "options", '{ path = "options.csv", preset = "own.toml" }')
    read(study)
    parsed.clear()
    (study / "own.toml").write_text(own.replace("note", "mote"))
    read(study)
    assert set(parsed) == {"options", "warnings"}


def test_a_table_with_a_problem_is_read_again_and_says_the_same(study: Path, parsed: list[str]) -> None:
    path = study / "options.csv"
    path.write_text(path.read_text() + "C0000,no day,1\n")
    said = []
    for _ in range(2):
        with pytest.raises(InputError) as error:
            read_tables(of(study))
        said.append(str(error.value))
    assert said[0] == said[1]
    assert Counter(parsed)["options"] == 2
    assert {Counter(parsed)[name] for name in KINDS if name != "options"} == {1}


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    study: Path, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_once, path = table_reader.TableReader.read, study / "options.csv"

    def late(self: table_reader.TableReader, *given: Any, **also: Any) -> pd.DataFrame:
        if self.table == "options" and not parsed.count("options"):
            edited("options.csv", last_digit)(study)
        return read_once(self, *given, **also)

    before = path.read_bytes()
    monkeypatch.setattr(table_reader.TableReader, "read", late)
    read(study)
    path.write_bytes(before)
    parsed.clear()
    read(study)
    assert "options" in parsed


def test_small_tables_are_not_kept(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_tables, "LEAST_BYTES", 1 << 30)
    read(study)
    assert not (study / "state").exists()


def foreign(path: Path, content: bytes) -> None:
    """Put a whole file of another content in an entry's place, under the digest that it has."""
    path.unlink()
    key = path.name[:32]
    path.with_name(f"{key}-{digest_of(key.encode() + content)}.kept").write_bytes(content)


DAMAGES: list[Callable[[Path], object]] = [
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(path.read_bytes()[:-9]),
    lambda path: path.write_bytes(path.read_bytes()[:100] + b"?" + path.read_bytes()[101:]),
    lambda path: foreign(path, b"no table at all"),
    lambda path: foreign(path, b'{"a": [1'),
    lambda path: foreign(path, b"[1, 2]"),
    lambda path: foreign(path, pd.DataFrame({"0": [1.0]}).to_parquet()),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_foreign_entry_is_read_anew(
    study: Path, parsed: list[str], damage: Callable[[Path], object]
) -> None:
    first = read(study)
    for path in list((study / "state" / "tables").iterdir()):
        damage(path)
    parsed.clear()
    same(read(study), first)
    assert set(parsed) == {*KINDS, "warnings"}
    parsed.clear()
    same(read(study), first)
    assert parsed == []


def test_tables_that_another_replaced_are_warned_of_anew(study: Path, parsed: list[str]) -> None:
    config, found = of(study), read(study)
    parsed.clear()
    prices = found.prices.assign(close=found.prices["close"].where(found.prices.index % 200 != 100, 1e-3))
    prices.attrs = found.prices.attrs
    assert input_warnings(replace(found, prices=prices), config) != input_warnings(found, config)
    assert parsed == ["warnings"]


@given(
    numbers=st.lists(st.integers(0, 2**64 - 1), max_size=9),
    texts=st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), min_size=9, max_size=9),
    unit=st.sampled_from(["s", "ms", "us", "ns"]),
    said=st.lists(st.tuples(st.text(), st.booleans()), max_size=3),
    name=st.text(),
    rows=st.integers(0, 9),
)
def test_bits_types_and_sentences_go_there_and_back(
    numbers: list[int], texts: list[str | None], unit: str, said: list[tuple[str, bool]], name: str, rows: int
) -> None:
    raw = np.array(numbers, dtype=np.uint64)
    frame = pd.DataFrame(
        {
            "float": raw.view(np.float64), "bool": raw % 2 == 0, name: raw.view(np.int64),
            "day": raw.view(np.int64).view(f"datetime64[{unit}]"), "text": pd.Series(texts[: len(raw)], dtype="str"),
        }
    )  # fmt: skip
    sentences = [Caution(text) if caution else text for text, caution in said]
    report = FileReport(
        "prices", Path("a/b.csv"), "CSV", (name,), said=tuple(sentences), rows=rows, first=date(2020, 1, 2),
        used={"close": name, "open": "O"}, others=Counter({name: rows}), names=(name,),
    )  # fmt: skip
    with_reports(remark(frame, sentences), [report, FileReport("prices", Path("c"), "refused")])
    content = encoded(frame)
    assert content is not None
    found = decoded(content)
    assert found is not None
    pd.testing.assert_frame_equal(frame, found, check_exact=True)
    assert bits(frame) == bits(found)
    assert frame["text"].array.dtype == found["text"].array.dtype
    assert (remarks(found), reports(found)) == (remarks(frame), reports(frame))
    assert [type(one) for one in remarks(found)] == [type(one) for one in sentences]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [1.0]}, index=[3]), pd.DataFrame({"a": [1.0]}, index=["x"]), pd.DataFrame({1: [1.0]}),
        pd.DataFrame({"a": [object()]}), pd.DataFrame({"a": pd.to_datetime(["2020-01-01"], utc=True)}),
        pd.DataFrame({"a": [1]}, dtype="Int64"), pd.DataFrame({"a": ["x"]}, dtype="category"),
        pd.DataFrame({"a": [1.0]}, dtype="float32"),
    ],
)  # fmt: skip
def test_another_kind_of_frame_is_not_kept(frame: pd.DataFrame) -> None:
    assert encoded(frame) is None


def test_read_only_inputs_are_read_and_nothing_is_written_next_to_them(
    study: Path, monkeypatch: pytest.MonkeyPatch, parsed: list[str]
) -> None:
    inputs = study / "inputs"
    inputs.mkdir()
    for path in list(study.glob("*.*")):
        path.rename(inputs / path.name)
    (study / "finnex.toml").write_text(
        (inputs / "finnex.toml").read_text().replace(' = "', ' = "inputs/').replace("inputs/vader", "vader")
    )
    names = sorted(inputs.rglob("*"))
    read(study)
    assert sorted(inputs.rglob("*")) == names
    monkeypatch.setenv("FINNEX_HOME", "/proc/finnex")  # where no account can make a folder
    parsed.clear()
    read(study)
    read(study)
    assert Counter(parsed) == Counter(dict.fromkeys((*KINDS, "warnings"), 2))
    assert sorted(inputs.rglob("*")) == names
