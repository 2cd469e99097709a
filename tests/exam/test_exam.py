from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import leaks_null
from finnex.audit import AuditReport, Finding
from finnex.cli import main
from finnex.config import Config
from finnex.data.panel import make_panel
from finnex.data.tables import read_tables
from finnex.errors import ConfigError, InputError, Problem
from finnex.exam import exam
from finnex.exam.exam import ExamReport, NullAnswer, judge, names, null_sizes, run_exam, run_null
from finnex.exam.kinds import ALL, HONEST, LEAKS


def finding(table: str, *features: str) -> Finding:
    return Finding("said", table, features, "evidence.", "remedy.")


def report(*findings: Finding) -> AuditReport:
    return AuditReport({}, 0, 1, 0.0, (), (), {}, findings)


TABLE, BOTH, CODE = "filings_nine_days_after_the_period", "vix_a_day_early", "wrong_at_month_ends_only"
HIDDEN, FINE = "filings_hold_the_next_quarter", "filings_always_after_45_days"


@pytest.mark.parametrize(
    ("kind", "found", "outcome"),
    [
        (TABLE, [], "missed"),
        (TABLE, [finding("fundamentals", "gross_margin")], "caught"),
        (TABLE, [finding("fundamentals")], "caught"),
        (TABLE, [finding("prices", "return_5")], "caught elsewhere"),
        (TABLE, [finding("prices", "return_5"), finding("fundamentals")], "caught"),
        (BOTH, [finding("macro", "vix_level")], "caught"),
        (BOTH, [finding("macro")], "caught"),
        (BOTH, [finding("macro", "rate_10y")], "caught elsewhere"),
        (BOTH, [finding("prices", "vix_level")], "caught elsewhere"),
        (CODE, [finding("prices", "return_5")], "caught"),
        (CODE, [finding("several tables", "return_20", "return_5")], "caught"),
        (CODE, [finding("prices", "return_20")], "caught elsewhere"),
        (CODE, [finding("prices")], "caught elsewhere"),
        (HIDDEN, [], "cannot be known"),
        (HIDDEN, [finding("prices", "return_5")], "cannot be known"),
        (HIDDEN, [finding("fundamentals", "gross_margin")], "caught"),
        (FINE, [], "no alarm"),
        (FINE, [finding("fundamentals")], "false alarm"),
    ],
)
def test_what_counts_as_caught(kind: str, found: list[Finding], outcome: str) -> None:
    answer = judge(ALL[kind], found)
    assert answer.outcome == outcome
    assert len(answer.right) + len(answer.wrong) == len(found)
    assert bool(answer.why) == (outcome == "cannot be known")
    assert all("said (" in text for text in (*answer.right, *answer.wrong))


def test_a_beginning_of_a_name_is_enough_for_a_feature() -> None:
    label = ALL["label_entered_at_todays_open"]
    assert names(label, finding("prices", "label_price_movement[5]"))
    assert not names(label, finding("prices", "return_5"))


def test_the_audit_is_given_files_code_and_what_belongs_to_the_kind(tmp_path: Path) -> None:
    asked: dict[str, Any] = {}

    def ask(config: Config, **given: Any) -> AuditReport:
        tables = read_tables(config)
        asked.update(given, later=given.get("vintage") and len(given["vintage"].read_text().splitlines()) - 1,
                     published=None if tables.enhanced is None else len(tables.enhanced))  # fmt: skip
        return report()

    assert run_exam(["sign_of_tomorrow_with_a_vintage"], 260, 1, ask=ask).answers[0].outcome == "missed"
    assert asked["later"] > asked["published"] > 200
    assert asked["make"] is make_panel
    assert asked["seed"] == 1
    asked.clear()
    run_exam([CODE], 260, ask=ask)
    assert asked["make"] is not make_panel
    assert not {"vintage", "store"} & (set(asked) - {"later", "published"})


def outcomes(**answers: Finding) -> Any:
    """Return an audit that knows its answer by the number of times it was asked."""
    left = list(answers.values())
    return lambda config, **given: report(*left.pop(0))


def test_figures_of_an_exam_add_up() -> None:
    asked = outcomes(a=[finding("fundamentals")], b=[], c=[], d=[finding("prices", "return_5")], e=[finding("macro")])
    seen: list[tuple[int, int, str]] = []
    kinds = [TABLE, HIDDEN, BOTH, CODE, FINE]
    told = run_exam(kinds, 260, ask=asked, on_progress=lambda *at: seen.append(at))
    assert [one.outcome for one in told.answers] == ["caught", "cannot be known", "missed", "caught", "false alarm"]
    assert told.summary == (
        "2 of 4 kinds caught, 1 cannot be known, 1 missed. 1 of 1 honest kinds raised a false alarm."
    )
    assert not told.passed
    assert seen == [(number, 5, name) for number, name in enumerate(kinds)]
    assert ExamReport(260, 0, told.of("caught", "cannot be known")).passed
    assert json.loads(json.dumps(told.as_dict()))["answers"][2]["outcome"] == "missed"


def test_every_leak_is_asked_about_and_the_honest_kinds_when_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(exam, "_ask", lambda one, *_: asked.append(one.name) or judge(one, []))
    assert not run_exam().passed
    assert asked == list(LEAKS)
    asked.clear()
    assert len(run_exam([CODE], honest=True).answers) == 1 + len(HONEST)
    assert asked == [CODE, *HONEST]


def test_a_leak_whose_file_is_refused_is_caught_where_its_table_is_named() -> None:
    problems = [Problem("/data/macro.csv", "is odd", "Mend it.", row=3), Problem("/data/macro.csv", "is odd", "Mend.")]

    def refuse(config: Config, **given: object) -> AuditReport:
        raise InputError(problems)

    told = run_exam(["vix_a_day_early", TABLE], 260, ask=refuse)
    assert [one.outcome for one in told.answers] == ["caught", "caught elsewhere"]
    assert told.answers[0].right == ("refused (macro)",)


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'vix_a_day_early'"):
        run_exam(["vix_a_day_earlier"])


def test_clean_markets_differ_and_every_finding_in_them_is_an_alarm() -> None:
    asked = outcomes(a=[], b=[finding("macro"), finding("prices")])
    told = run_null(2, (260, 300), 3, ask=asked)
    assert [len(one.alarms) for one in told] == [0, 2]
    assert [(one.seed, one.sessions) for one in told] == null_sizes(2, (260, 300), 3)
    sizes = null_sizes(100, (260, 1000), 0)
    assert len({seed for seed, _ in sizes}) == 100
    assert min(size for _, size in sizes) < 300
    assert max(size for _, size in sizes) > 950
    assert not {seed for seed, _ in sizes} & {seed for seed, _ in null_sizes(100, (260, 1000), 1)}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["benchmark", "leaks", *arguments])
    return int(stopped.value.code or 0), capsys.readouterr().out


def test_the_command_prints_a_table_of_80_columns_and_its_summary(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = {"vix_a_day_early": [finding("macro", "vix_level")], FINE: [finding("fundamentals", "gross_margin")]}
    monkeypatch.setattr(exam, "_ask", lambda one, *_: judge(one, found.get(one.name, []), 12.3))
    code, printed = run(capsys)
    lines = printed.splitlines()
    assert code == 1
    assert max(map(len, lines)) <= 80
    unknown = sum(bool(one.unknowable) for one in LEAKS.values())
    told = f"1 of {len(LEAKS)} kinds caught, {unknown} cannot be known, {len(LEAKS) - 1 - unknown} missed."
    assert told in " ".join(printed.split())
    for name in LEAKS:
        assert sum(name in line.split() for line in lines) >= 1, name
    assert "because the file has one origin" in " ".join(printed.split())
    code, printed = run(capsys, "--kind", "vix_a_day_early")
    assert (code, "1 of 1 kinds caught, 0 cannot be known, 0 missed." in printed) == (0, True)
    code, printed = run(capsys, "--kind", "vix_a_day_early", "--honest", "--json")
    answer = json.loads(printed)
    assert (code, answer["passed"], len(answer["answers"])) == (1, False, 1 + len(HONEST))


@pytest.mark.accept
def test_the_command_audits_for_real(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(exam, "AUDITED", 1)
    code, printed = run(capsys, "--kind", "filings_on_the_last_day_of_the_period", "--sessions", "260", "--json")
    (answer,) = json.loads(printed)["answers"]
    assert (code, answer["outcome"]) == (0, "caught")
    assert any("fundamentals" in text for text in answer["right"])


@pytest.mark.parametrize(("alarms", "code"), [((), 0), (("one",), 0), (("one", "two"), 1)])
def test_the_null_run_allows_one_false_alarm_on_a_hundred_markets(
    alarms: tuple[str, ...], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [NullAnswer(seed, 300, alarms if seed == 7 else (), 2.0) for seed in range(100)]
    assert leaks_null.tell(answers) == code
    printed = capsys.readouterr().out
    assert f"{len(alarms)} false alarms on 100 clean markets; 2 s an audit." in printed
    assert printed.count("market 7, 300 sessions: ") == len(alarms)
