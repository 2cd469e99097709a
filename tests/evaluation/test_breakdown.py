"""Scores by group add up to the scorecard's, and noise makes no group better or worse than the rest."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_ind_from_stats

from benchmarks.coverage import persistent
from finnex.data.session_prices import SessionPrices
from finnex.errors import TrainingError
from finnex.evaluation.breakdown import NO_REST, breakdown, of_other_sessions, on_the_same_sessions
from finnex.evaluation.interval import mean_estimate
from finnex.evaluation.regimes import regimes
from finnex.evaluation.scorecard import scorecard
from tests.helpers.calibrated import answered, guesses, tabulated
from tests.helpers.stores import sessions

STUDIES = 150


def study(seed: int = 0, n: int = 600, companies: int = 3, horizon: int = 5) -> pd.DataFrame:
    """A model that knows nothing, and a majority baseline, from 2015 on."""
    said, label = guesses(np.random.default_rng(seed), n, horizon, companies)
    hold = np.tile([0.3, 0.4, 0.3], (len(label), 1))
    return pd.concat(
        [tabulated(said, label, companies, horizon), tabulated(hold, label, companies, horizon, model="majority")],
        ignore_index=True,
    )


def bars(seed: int, n: int, before: int = 0) -> SessionPrices:
    """Bars of two companies on the sessions of a study; a market that has calm and wild times."""
    rng = np.random.default_rng(seed)
    spread = 0.01 * np.exp(persistent(rng, n + before, 1, 0.98))
    close = np.exp(np.cumsum(spread * rng.standard_normal((n + before, 2)), axis=0))
    days = np.busday_offset(np.datetime64("2015-01-02"), np.arange(-before, n), roll="forward")
    return SessionPrices(days, ("A", "B"), close, close)


def test_groups_add_up_to_the_scorecard() -> None:
    one = study(0)
    other = one.rename(columns={"p_sell": "p_buy", "p_buy": "p_sell"}).assign(seed=8)  # another training
    table = pd.concat([one, other])
    found, card = breakdown(table, bars(0, 600)), scorecard(table)
    for kind in ("year", "company", "regime"):
        mine = [group for group in found.groups if group.kind == kind]
        assert sum(group.rows for group in mine) == card.rows == 1800
        total = sum(group.accuracy.value * group.rows for group in mine) / card.rows
        assert total == pytest.approx(card.lines[0].accuracy.value, abs=1e-12)
        gap = sum((group.gap.value if group.gap else np.nan) * group.rows for group in mine) / card.rows
        assert gap == pytest.approx(card.gaps["majority"].value, abs=1e-12)
    assert [group.name for group in found.groups if group.kind == "company"] == ["C00", "C01", "C02"]
    assert [group.name for group in found.groups if group.kind == "year"] == ["2015", "2016", "2017"]


def test_a_group_has_the_figures_of_its_rows_alone() -> None:
    table, market = study(1), bars(1, 600, before=300)
    own = table[table["model"] == "cnn"].sort_values(["symbol", "decision_date"])
    right = (own[["p_sell", "p_hold", "p_buy"]].to_numpy().argmax(axis=1) == own["label"]).to_numpy().astype(float)
    days = own["decision_date"].to_numpy().astype("datetime64[D]")
    regime = regimes(market)[np.searchsorted(market.days, days)]
    of = {"year": days.astype("datetime64[Y]").astype(str), "company": own["symbol"].to_numpy(), "regime": regime}
    found = breakdown(table, market)
    assert {group.name for group in found.groups if group.kind == "regime"} == set(regime)
    for group in found.groups:
        mine = of[group.kind] == group.name
        expected = mean_estimate(right[mine], days[mine], 5, share=True).interval()
        assert (group.accuracy, group.rows) == (expected, mine.sum())
        assert group.gap is not None


def test_a_worked_difference_on_the_same_sessions() -> None:
    """Company A against the mean of B and C, session by session; D has no session with A."""
    answers = answered(np.full((240, 3), 1 / 3), np.zeros(240, dtype=np.int64), 3, 1)
    values = np.random.default_rng(0).random(240)
    mine = answers.symbols == "C00"
    table = values.reshape(80, 3)
    expected = mean_estimate(table[:, 0] - table[:, 1:].mean(axis=1), sessions(80), 1)
    found = on_the_same_sessions(answers, values, mine, ~mine)
    assert found.value == pytest.approx(expected.value, abs=1e-12)
    assert found.variance == pytest.approx(expected.variance, abs=1e-15)
    apart = on_the_same_sessions(answers, values, mine & (answers.days < answers.days[120]),
                                 ~mine & (answers.days > answers.days[120]))  # fmt: skip
    assert apart.reason == "no interval: it has no session in common with the rest"


def test_a_difference_from_other_sessions_is_welchs() -> None:
    answers = answered(np.full((300, 3), 1 / 3), np.zeros(300, dtype=np.int64), 1, 1)
    values, mine = np.random.default_rng(0).random(300), np.arange(300) < 100
    found = of_other_sessions(answers, values, mine, ~mine)
    one, two = (mean_estimate(values[which], answers.days[which], 1) for which in (mine, ~mine))
    welch = ttest_ind_from_stats(  # by their standard errors, with as many observations as degrees of freedom ask for
        one.value, np.sqrt(one.variance[0] * (one.freedom + 1)), one.freedom + 1,
        two.value, np.sqrt(two.variance[0] * (two.freedom + 1)), two.freedom + 1, equal_var=False,
    )  # fmt: skip
    assert found.value / np.sqrt(found.variance[0]) == pytest.approx(welch.statistic, abs=1e-9)
    bounds = (2 * student.sf(abs(welch.statistic), freedom) for freedom in (found.freedom, found.freedom + 1))
    assert next(bounds) >= welch.pvalue >= next(bounds)  # Welch's degrees of freedom, rounded down


def test_what_cannot_be_compared_is_said() -> None:
    one = breakdown(study(0, companies=1)[lambda table: table["model"] == "cnn"])
    company = next(group for group in one.groups if group.kind == "company")
    assert (company.difference.reason, company.word, company.gap) == (NO_REST, "open", None)
    record = json.loads(json.dumps(one.record(), allow_nan=False))["groups"][-1]
    assert (record["difference"], record["gap"], record["gap_reason"]) == (None, None, "there is no majority baseline")
    short = breakdown(study(0, n=40))
    assert {group.accuracy.low for group in short.groups} == {None}
    assert short.words() == ["No group of cnn can be compared with the rest: too few sessions."]
    assert {group.word for group in short.groups} == {"open"}


def test_an_unknown_regime_is_compared_with_nothing_and_in_no_rest() -> None:
    found = breakdown(study(2), bars(2, 600))
    groups = {group.name: group for group in found.groups if group.kind == "regime"}
    assert groups["unknown"].difference.reason == NO_REST
    known = [group for name, group in groups.items() if name != "unknown"]
    one, others = known[0], known[1:]
    rest = sum(group.accuracy.value * group.rows for group in others) / sum(group.rows for group in others)
    assert one.difference.value == pytest.approx(one.accuracy.value - rest, abs=1e-12)


def test_other_rows_of_the_baseline_or_no_model_to_judge_are_refused() -> None:
    table = study(0)
    with pytest.raises(TrainingError, match="'majority' has 1799 rows of split 'test' and 'cnn' has 1800"):
        breakdown(table.drop(index=table.index[-1]))
    with pytest.raises(TrainingError, match=r"has no model to judge\. Name one with model="):
        breakdown(table[table["model"] == "majority"])
    assert breakdown(table, model="majority").groups[0].gap is None


def test_noise_makes_no_group_better_or_worse_in_95_of_100_studies() -> None:
    """Three years, three companies, the regimes of a market: at least one word of either kind."""
    words = []
    for seed in range(STUDIES):
        found = breakdown(study(seed, horizon=5), bars(seed, 600, before=300))
        words.append(
            (any(one.word != "open" for one in found.groups), any(one.gap_word == "beats" for one in found.groups))
        )
    most = 0.05 + 3 * np.sqrt(0.05 * 0.95 / STUDIES)
    assert np.mean([one for one, _ in words]) <= most
    assert np.mean([one for _, one in words]) <= most


def test_without_the_step_down_noise_would_often_name_a_group() -> None:
    named = []
    for seed in range(40):
        groups = breakdown(study(seed, companies=12, n=400)).groups
        named.append(any(one.difference.low is not None and not one.difference.low <= 0 <= (one.difference.high or 0)
                         for one in groups))  # fmt: skip
    assert np.mean(named) > 0.2


def test_a_company_and_a_year_that_are_known_better_are_named() -> None:
    table = study(0, n=750)
    known = (table["model"] == "cnn") & ((table["symbol"] == "C01") | (table["decision_date"].dt.year == 2016))
    hit = known & (np.random.default_rng(0).random(len(table)) < 0.4)
    said = np.eye(3)[table["label"]] * 0.4 + 0.2
    for code, name in enumerate(("p_sell", "p_hold", "p_buy")):
        table[name] = np.where(hit, said[:, code], table[name])
    found = breakdown(table)
    better = {group.name for group in found.groups if group.word == "beats"}
    assert {"C01", "2016"} <= better
    assert "better than on the rest in year 2016 and company C01" in found.words()[0]
    assert found.words()[1].startswith("It beats the majority class in year")
