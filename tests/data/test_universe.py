"""The table of companies: members from when to when, peers of one industry, ranks and labels across the section."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.panel import symbols_of, write_config, write_tables
from finnex.audit.section_audit import section_columns, wide_section
from finnex.config import Config, load_config
from finnex.config.images import ACROSS_THE_SECTION
from finnex.data.features import SECTION_FEATURES, make_context, symbol_bars, symbol_calendar
from finnex.data.features.cross_section import RANKED, characteristics
from finnex.data.freshness import late_inputs
from finnex.data.label_kinds import all_labels
from finnex.data.panel import make_panel
from finnex.data.tables import Tables, read_tables
from finnex.data.universe import Universe, universe_of
from finnex.data.warnings import input_warnings
from finnex.errors import ConfigError, InputError
from finnex.layout import load_layout

COMPANIES, SESSIONS = 9, 500
SYMBOLS = symbols_of(COMPANIES)
LAYOUT = load_layout("mega", cross_section=True)
SPECS = LAYOUT.catalogue.entries
ROWS = "symbol,sector,industry,from,to\n"
OPEN = ROWS + "".join(
    f"{name},Technology,{'Chips' if number < 4 else 'Software'},,\n" for number, name in enumerate(SYMBOLS)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("universe")
    write_tables(found, COMPANIES, SESSIONS)
    return found


def written(folder: Path, companies: str, **keys: str) -> Config:
    """Return the configuration of the panel with a table of companies, and further lines of TOML by section."""
    text = Path(write_config(folder, COMPANIES)).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("peers")]
    lines.insert(lines.index("[inputs]") + 1, 'companies = "companies.csv"')
    for section, more in keys.items():
        lines += [f"[{section}]", more]
    (folder / "companies.csv").write_text(companies, encoding="utf-8")
    (folder / "universe.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load_config(folder / "universe.toml")


@pytest.fixture(scope="module")
def open_universe(folder: Path) -> tuple[Config, Tables]:
    config = written(folder, OPEN)
    return config, read_tables(config)


def with_companies(tables: Tables, companies: pd.DataFrame) -> Tables:
    return replace(tables, companies=companies)


def changed(tables: Tables, symbol: str, **columns: object) -> Tables:
    """Return the tables with other cells in a company's row of the table of companies."""
    assert tables.companies is not None
    frame = tables.companies.copy()
    for name, value in columns.items():
        frame.loc[frame["symbol"] == symbol, "from" if name == "from_" else name] = value
    return with_companies(tables, frame)


def panel_of(tables: Tables, config: Config, symbol: str = "C0000") -> np.ndarray:
    return make_panel(tables, config, symbol, SPECS).rows


def day(tables: Tables, position: int) -> pd.Timestamp:
    return pd.Timestamp(np.sort(tables.prices["date"].unique())[position])


@pytest.mark.parametrize(("industry", "read"), [("", ["", ""]), ("0700", ["0700", "0700"])])
def test_industries_are_words_though_all_are_empty_or_digits(folder: Path, industry: str, read: list[str]) -> None:
    rows = "".join(f"C000{number},{industry},{industry},20150601,\n" for number in range(2))
    config = written(folder, "symbol,sector,industry,from,to\n" + rows)
    found = read_tables(config.model_copy(update={"symbols": ("C0000",)}))
    assert found.companies is not None
    assert found.companies["industry"].tolist() == found.companies["sector"].tolist() == read
    assert found.companies["from"].tolist() == [pd.Timestamp("2015-06-01")] * 2


def test_what_is_wrong_with_the_table_is_refused_together(folder: Path) -> None:
    rows = OPEN + (
        "C0001,Technology,Chips,2024-01-02,2024-03-01\n"  # overlaps the open row
        "C0002,Technology,Chips,2024-05-01,2024-03-01\n"  # ends before it begins
        "C0003,,,not a day,\n"
    )
    with pytest.raises(InputError) as refused:
        read_tables(written(folder, rows))
    for words in ("two periods of one company overlap", "ends before it begins", "'not a day'"):
        assert words in str(refused.value)


def test_a_configured_symbol_without_a_row_and_a_member_without_bars_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="'C0008' is configured and has no row in the table of companies"):
        read_tables(written(folder, OPEN.replace("C0008,", "C8,")))
    dated = OPEN.replace("C0000,Technology,Chips,,", "C0000,Technology,Chips,2020-01-02,")
    with pytest.raises(InputError, match="'GONE' is a member while the prices run, and has no bar"):
        read_tables(written(folder, dated + "GONE,,,2020-01-02,\n"))
    # Before the first bar of the table a membership is of no consequence; without dates it is only said.
    read_tables(written(folder, dated + "GONE,,,1990-01-02,1999-12-31\n"))
    config = written(folder, OPEN + "GONE,,,,\n")
    (said,) = (one for one in input_warnings(read_tables(config), config) if one.startswith("companies: GONE"))
    assert "no cross-section" in said


def test_bars_that_begin_after_or_end_before_a_membership_are_said(folder: Path) -> None:
    config = written(folder, OPEN)
    tables = read_tables(config)
    start, end = day(tables, 100), day(tables, -60)
    own = tables.prices["symbol"]
    prices = tables.prices[~((own == "C0001") & (tables.prices["date"] < start))]
    prices = prices[~((prices["symbol"] == "C0002") & (prices["date"] > end))].reset_index(drop=True)
    odd = changed(replace(tables, prices=prices), "C0003", to=day(tables, 200))
    said = [one for one in input_warnings(odd, config) if one.startswith("companies: the bars of")]
    assert len(said) == 2
    assert "C0001" in said[0]
    assert "begin after the membership does" in said[0]
    assert "C0002" in said[1]
    assert "C0003" not in " ".join(said)


def test_sections_without_a_table_of_companies_are_refused_with_its_name(folder: Path) -> None:
    text = Path(write_config(folder, COMPANIES)).read_text(encoding="utf-8")
    for lines in ("[image]\ncross_section = true", '[labels]\nkind = "section_rank"'):
        (folder / "bare.toml").write_text(f"{text}\n{lines}\n", encoding="utf-8")
        with pytest.raises(ConfigError, match=r'\[inputs\] companies = "companies.csv"'):
            load_config(folder / "bare.toml")


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), min_size=1, max_size=4),
    st.integers(0, 60),
)
@settings(max_examples=60, deadline=None)
def test_a_company_is_a_member_exactly_within_its_periods(periods: list[tuple[int, int]], at: int) -> None:
    origin = np.datetime64("2020-01-01")
    days = origin + np.arange(80)
    rows = pd.DataFrame(
        {
            "symbol": "A", "industry": "",
            "from": [pd.Timestamp(origin + first) for first, _ in periods],
            "to": [pd.Timestamp(origin + first + length) for first, length in periods],
        }
    )  # fmt: skip
    universe = Universe(rows, dated=True)
    inside = any(first <= at <= first + length for first, length in periods)
    assert universe.members("A", days)[at] == inside
    assert universe.is_member_within("A", days[at].item(), days[at].item()) == inside
    assert universe.members("B", days).sum() == 0


def test_peers_are_those_of_the_industry_at_the_session(open_universe: tuple[Config, Tables]) -> None:
    config, tables = open_universe
    assert make_context(tables, config, "C0000").peers == ("C0001", "C0002", "C0003")
    named = config.model_copy(update={"peers": ("C0007",)})
    assert make_context(tables, named, "C0000").peers == ("C0007",)
    # A company that leaves the industry half-way counts until then, and not after.
    assert tables.companies is not None
    half = day(tables, 250)
    moved = tables.companies[tables.companies["symbol"] != "C0001"]
    first = pd.DataFrame([{"symbol": "C0001", "sector": "", "industry": "Chips", "from": pd.NaT, "to": half}])
    later = first.assign(industry="Software", to=pd.NaT, **{"from": half + pd.Timedelta(days=1)})
    two = with_companies(tables, pd.concat([moved, first, later], ignore_index=True))
    relative = [at for at, spec in enumerate(SPECS) if spec.name == "peer_momentum_20"]
    before, after = (make_panel(one, config, "C0000", SPECS).original[:, relative] for one in (tables, two))
    np.testing.assert_array_equal(before[:251], after[:251])
    assert not np.array_equal(before[251:], after[251:])
    without = changed(tables, "C0001", industry="Software")
    np.testing.assert_array_equal(after[251:], make_panel(without, config, "C0000", SPECS).original[251:, relative])


def test_a_company_that_joins_is_compared_where_its_first_image_looks_back(
    open_universe: tuple[Config, Tables],
) -> None:
    config, tables = open_universe
    relative = [at for at, spec in enumerate(SPECS) if spec.name in ("peer_momentum_20", "peer_rank_60")]
    always = make_panel(tables, config, "C0001", SPECS).original[:, relative]
    joined = make_panel(changed(tables, "C0001", from_=day(tables, 400)), config, "C0001", SPECS).original[:, relative]
    assert not np.isnan(joined[300:]).any()
    np.testing.assert_array_equal(joined, always)
    # To the others it is no peer before.
    other = [at for at, spec in enumerate(SPECS) if spec.name == "peer_momentum_20"]
    before, after = (
        make_panel(one, config, "C0000", SPECS).original[:, other]
        for one in (tables, changed(tables, "C0001", from_=day(tables, 400)))
    )
    assert not np.array_equal(before[300:400], after[300:400])
    np.testing.assert_array_equal(before[400:], after[400:])


def test_a_company_that_is_added_changes_no_bit_of_one_of_another_industry(
    open_universe: tuple[Config, Tables],
) -> None:
    config, tables = open_universe
    specs = load_layout("mega").catalogue.entries
    few = with_companies(tables, tables.companies[tables.companies["symbol"] != "C0008"])  # type: ignore[index]
    for symbol, same in (("C0000", True), ("C0007", False)):
        one, other = (make_panel(each, config, symbol, specs).rows.tobytes() for each in (few, tables))
        assert (one == other) is same


@pytest.mark.parametrize("how", ["to", "from", "industry", "added", "cut"])
def test_what_the_table_says_of_later_sessions_changes_no_earlier_bit(
    open_universe: tuple[Config, Tables], how: str
) -> None:
    config, tables = open_universe
    until = 380
    later = day(tables, until + 1)
    everyone = changed(tables, "C0005", to=day(tables, 300))  # memberships change before, too
    if how == "to":
        other = changed(everyone, "C0001", to=day(tables, until))
    elif how == "from":
        begun = pd.DataFrame([{"symbol": "C0005", "sector": "", "industry": "Chips", "from": later, "to": pd.NaT}])
        other = with_companies(everyone, pd.concat([everyone.companies, begun], ignore_index=True))
    elif how == "industry":
        ended = changed(everyone, "C0002", to=day(tables, until))
        begun = pd.DataFrame([{"symbol": "C0002", "sector": "", "industry": "Software", "from": later, "to": pd.NaT}])
        other = with_companies(ended, pd.concat([ended.companies, begun], ignore_index=True))
    elif how == "added":
        without = everyone.companies[everyone.companies["symbol"] != "C0003"]  # type: ignore[index]
        everyone = with_companies(everyone, without)
        begun = pd.DataFrame([{"symbol": "C0003", "sector": "", "industry": "Chips", "from": later, "to": pd.NaT}])
        other = with_companies(everyone, pd.concat([without, begun], ignore_index=True))
    else:
        keep = tables.prices["date"] < later
        other = replace(everyone, prices=tables.prices[keep].reset_index(drop=True))
    one, two = panel_of(everyone, config), panel_of(other, config)
    assert one[: until + 1].tobytes() == two[: until + 1].tobytes()
    if how != "cut":
        assert one[until + 1 :].tobytes() != two[until + 1 :].tobytes(), "the change shows nothing"


def test_ranks_are_those_of_a_plain_count_of_the_members_below(open_universe: tuple[Config, Tables]) -> None:
    config, tables = open_universe
    splits = pd.DataFrame({"symbol": ["C0000"], "date": [day(tables, 5)], "ratio": [1.0]})
    tables = replace(changed(tables, "C0004", to=day(tables, 300)), splits=splits)
    context = make_context(tables, config, "C0000")
    found = make_panel(tables, config, "C0000", SPECS).original
    each = {name: characteristics(context.section, name) for name in SYMBOLS}
    known = 0
    for name, feature in zip(RANKED, SECTION_FEATURES, strict=True):
        column = LAYOUT.catalogue.position[feature]
        for at in (200, 299, 300, 301, 450):
            own = each["C0000"][name][at]
            others = [each[one][name][at] for one in SYMBOLS[1:] if one != "C0004" or at <= 300]
            others = [value for value in others if not np.isnan(value)]
            if np.isnan(own) or len(others) < 2:
                assert np.isnan(found[at, column])
                continue
            known += 1
            below = sum((value < own) + 0.5 * (value == own) for value in others)
            assert found[at, column] == pytest.approx(below / len(others), abs=1e-12)
    assert known >= 30
    assert np.nanmin(found[:, LAYOUT.catalogue.position["section_momentum_20"]]) >= 0


def test_without_splits_figures_in_currency_have_no_rank(open_universe: tuple[Config, Tables]) -> None:
    config, tables = open_universe
    found = make_panel(tables, config, "C0000", SPECS).original
    for feature in ("section_size", "section_value", "section_turnover_20"):
        assert np.isnan(found[:, LAYOUT.catalogue.position[feature]]).all()
    assert not np.isnan(found[300:, LAYOUT.catalogue.position["section_momentum_60"]]).any()


def labels_of(tables: Tables, config: Config, symbol: str = "C0000") -> dict[str, tuple[np.ndarray, ...]]:
    calendar = symbol_calendar(tables, config, symbol)
    found = all_labels(tables, config, symbol, symbol_bars(tables, symbol, calendar), calendar.days)
    return {kind: (one.outcome, one.label, one.end) for kind, one in found.items()}


@pytest.mark.parametrize("kind", ACROSS_THE_SECTION)
def test_labels_across_the_section_are_those_of_an_independent_computation(
    open_universe: tuple[Config, Tables], kind: str
) -> None:
    config, tables = open_universe
    dates = tables.prices["date"]
    tables = changed(tables, "C0004", to=day(tables, 300))  # leaves, and goes on trading
    tables = changed(tables, "C0005", to=day(tables, 350))  # leaves, and its bars end
    gap = (tables.prices["symbol"] == "C0006") & (dates == day(tables, 200))
    ended = (tables.prices["symbol"] == "C0005") & (dates > day(tables, 350))
    young = (tables.prices["symbol"] == "C0007") & (dates < day(tables, 100))
    tables = replace(tables, prices=tables.prices[~(gap | ended | young)].reset_index(drop=True))
    section = wide_section(tables, config.exchange)
    assert section is not None
    for symbol in ("C0000", "C0004", "C0005", "C0006", "C0007"):
        days = symbol_calendar(tables, config, symbol).days
        outcome, label, end = labels_of(tables, config, symbol)[kind]
        expected, classes, ends = section_columns(kind, section, symbol, days, config.labels)
        np.testing.assert_allclose(outcome, expected, rtol=1e-5, atol=1e-7)
        compared = classes >= 0
        assert compared.sum() > 500
        np.testing.assert_array_equal(label[compared], classes[compared])
        np.testing.assert_array_equal(end[ends >= 0], days[ends[ends >= 0]])
        assert np.isnat(end[ends < 0]).all()
        assert (label[ends < 0] == -1).all()


def test_thirds_of_a_section_are_thirds(open_universe: tuple[Config, Tables]) -> None:
    config, tables = open_universe
    every = np.stack([labels_of(tables, config, symbol)["section_rank"][1][:, 0] for symbol in SYMBOLS], axis=1)
    known = (every >= 0).all(axis=1)
    assert known.sum() > 400
    counts = np.stack([(every[known] == side).sum(axis=1) for side in (0, 1, 2)], axis=1)
    assert (counts == 3).all(axis=1).mean() > 0.99  # two of equal returns share a third


def test_a_label_waits_for_a_late_member_and_not_for_one_that_has_left(open_universe: tuple[Config, Tables]) -> None:
    config, tables = open_universe
    late = (tables.prices["symbol"] == "C0008") & (tables.prices["date"] >= day(tables, -2))
    short = replace(tables, prices=tables.prices[~late].reset_index(drop=True))
    whole = labels_of(tables, config)["section_rank"][1][:, 0]
    waits = labels_of(short, config)["section_rank"][1][:, 0]
    assert whole[-3:-1].min() >= 0
    assert (waits[-3:] == -1).all()
    np.testing.assert_array_equal(waits[:-3], whole[:-3])
    left = labels_of(changed(short, "C0008", to=day(tables, -3)), config)["section_rank"][1][:, 0]
    assert left[-3:-1].min() >= 0


def test_a_label_never_changes_after_it_was_known(open_universe: tuple[Config, Tables]) -> None:
    config, tables = open_universe
    tables = changed(tables, "C0004", to=day(tables, 300))
    full = labels_of(tables, config)
    for until in (150, 298, 302, 420):
        kept = tables.prices["date"] <= day(tables, until)
        seen = labels_of(replace(tables, prices=tables.prices[kept].reset_index(drop=True)), config)
        for kind in ACROSS_THE_SECTION:
            outcome, label, end = full[kind]
            known = end[: until + 1] <= np.datetime64(day(tables, until), "D")
            assert known.sum() > 400
            np.testing.assert_array_equal(seen[kind][1][known], label[: until + 1][known])
            np.testing.assert_array_equal(seen[kind][0][known], outcome[: until + 1][known])
            assert (seen[kind][1][~known] == -1).all()


def test_sessions_outside_a_membership_have_no_label_of_any_kind(open_universe: tuple[Config, Tables]) -> None:
    config, tables = open_universe
    tables = changed(tables, "C0000", to=day(tables, 300))
    for outcome, label, end in labels_of(tables, config).values():
        assert (label[301:] == -1).all()
        assert np.isnan(outcome[301:]).all()
        assert np.isnat(end[301:]).all()
        assert (label[200:301] >= 0).all()


def test_a_night_does_not_wait_for_a_company_that_has_left(open_universe: tuple[Config, Tables]) -> None:
    config, tables = open_universe
    last = day(tables, -1)
    late = (tables.prices["symbol"] == "C0003") & (tables.prices["date"] >= last)
    short = replace(tables, prices=tables.prices[~late].reset_index(drop=True))
    assert "C0003" in late_inputs(short, config, last.date())
    assert late_inputs(changed(short, "C0003", to=day(tables, -2)), config, last.date()) == ""


def test_the_universe_without_days_is_not_dated(open_universe: tuple[Config, Tables]) -> None:
    _, tables = open_universe
    universe = universe_of(tables.companies)
    assert universe is not None
    assert not universe.dated
    assert "companies" not in tables.limits()
    dated = changed(tables, "C0001", to=day(tables, 300))
    assert dated.limits()["companies"] == (day(tables, 300).date(), day(tables, 300).date())
