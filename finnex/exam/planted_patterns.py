"""What is planted in the market that has known answers: regimes, patterns, the rule, and what can be known of it.

Each decision is governed by one of three regimes, which show by the pattern that the window holds:

- price: a move of four sessions on thin volume. A dip that is made good (Buy), a rise that is given back (Sell), or up
  and down in turn (Hold).
- sentiment: a wave in social media of four sessions. It praises (Buy), blames (Sell), or does both in turn (Hold).
- both: a wave of news, praise before blame, and a rally on heavy volume that is given back. Each looks the same in all
  three classes: Buy where the wave leads the rally, Sell where it follows, Hold where they begin together.

No pattern moves the price for good: a return over more sessions, and features of sentiment that compare it with such
returns, hardly show any.

A pattern lies anywhere between `SLOT` sessions before the decision and `QUIET` sessions before it. A company decides
every `TURN` sessions and a window shows 56, so that a window holds the patterns of one decision alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from finnex.data.labels import BUY, HOLD, SELL
from finnex.exam.hidden_paths import Floats, generator

Whole = npt.NDArray[np.int64]
PRICE, SENTIMENT, BOTH = 0, 1, 2
"""Regimes: what governs a decision."""
SHARES = (0.2, 0.2, 0.6)
"""Of the decisions, by regime."""
FLIPPED = 0.04
"""Share of decisions whose label is another class than the rule's, either of them equally often."""
EVERY = 10
"""Sessions from one decision date of the market to the next: one company in `TURN / EVERY` decides on each."""
TURN = 40
"""Sessions from a company's decision to its next."""
FIRST = 160
"""Session of the first decision: all that a window of 56 sessions shows of prices and tone is known and normalised."""
LENGTH = 4
"""Sessions of a pattern."""
QUIET, SLOT = 16, 40
"""Sessions before a decision, itself counted, that hold none of its patterns; and back to which they all lie."""
STARTS = SLOT - QUIET - LENGTH + 1
"""Sessions of the slot on which a pattern can begin, oldest first."""
LEAST_LAG, MOST_LAG = 2, 6
"""Sessions by which the wave of news leads the rally, or follows it; each number equally often."""
CENTRES = (MOST_LAG // 2, STARTS - (MOST_LAG - MOST_LAG // 2))
"""First place in the slot about which the two begin, and the place after the last; each equally often."""
NOTHING = -1

SWAY = np.array([1.0, 1.0, -1.0, -1.0])
"""Up and back again: a wave of news, a rally that is given back. Its mean is 0, so means over sessions hide it."""
TURNS = np.array([1.0, -1.0, 1.0, -1.0])
MOVES: dict[int, Floats] = {SELL: SWAY, HOLD: TURNS, BUY: -SWAY}
"""Returns of the price's own pattern, by the rule's answer."""
MOODS: dict[int, Floats] = {SELL: -np.ones(LENGTH), HOLD: TURNS, BUY: np.ones(LENGTH)}
"""Opinion in the wave of social media, by the rule's answer."""


@dataclass(frozen=True, eq=False)
class PlantedDecisions:
    """What is planted for each decision, (decisions,) each.

    Attributes
    ----------
    session
        Position of the session at whose close is decided.
    regime
        `PRICE`, `SENTIMENT` or `BOTH`.
    answer
        The true rule's: 0 sell, 1 hold, 2 buy.
    label
        What the next session's return is made to be: the answer, but for the flipped.
    price_start, sentiment_start
        Place in the slot at which the pattern of prices, and that of sentiment, begins, 0 the oldest; -1 where there
        is none.
    """

    session: Whole
    regime: Whole
    answer: Whole
    label: Whole
    price_start: Whole
    sentiment_start: Whole

    def __len__(self) -> int:
        return len(self.session)

    def choose(self, rows: npt.NDArray[np.bool_]) -> PlantedDecisions:
        """Return some of the decisions."""
        return PlantedDecisions(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})

    def first_session(self, start: Whole) -> Whole:
        """Return the sessions on which patterns begin, of their places in the slot."""
        return self.session - (SLOT - 1) + start


def decisions_of(seed: int, symbol: str, group: int, sessions: int) -> PlantedDecisions:
    """Return the decisions of a company, those included whose patterns alone lie within the market.

    Parameters
    ----------
    seed
        Of the market.
    symbol
        The company: its name seeds what is its own.
    group
        0 to `TURN / EVERY` - 1: which of the market's decision dates are the company's.
    sessions
        Sessions of the market. A longer one has the same decisions, and further ones.

    Returns
    -------
    PlantedDecisions
        In order of time.
    """
    session = np.arange(FIRST + EVERY * group, sessions + SLOT, TURN)
    uniform = generator(seed, f"decisions of {symbol}").random((len(session), 6))
    regime = np.searchsorted(np.cumsum(SHARES)[:-1], uniform[:, 0], side="right")
    answer = (3 * uniform[:, 1]).astype(np.int64)
    other = (answer + 1 + (uniform[:, 3] < 0.5)) % 3
    label = np.where(uniform[:, 2] < FLIPPED, other, answer)
    alone = (STARTS * uniform[:, 4]).astype(np.int64)
    centre = CENTRES[0] + ((CENTRES[1] - CENTRES[0]) * uniform[:, 4]).astype(np.int64)
    lag = np.where(answer == HOLD, 0, LEAST_LAG + ((MOST_LAG - LEAST_LAG + 1) * uniform[:, 5]).astype(np.int64))
    price, sentiment = starts(centre, lag, answer)
    price = np.where(regime == BOTH, price, np.where(regime == PRICE, alone, NOTHING))
    sentiment = np.where(regime == BOTH, sentiment, np.where(regime == SENTIMENT, alone, NOTHING))
    return PlantedDecisions(session, regime, answer, label, price, sentiment)


def starts(centre: Whole, lag: Whole, answer: Whole) -> tuple[Whole, Whole]:
    """Return the places in the slot at which the rally and the wave of news begin, about a centre."""
    earlier = centre - lag // 2
    later = earlier + lag
    return np.where(answer == BUY, later, earlier), np.where(answer == BUY, earlier, later)


def sequences() -> tuple[Whole, Whole, Whole, Floats]:
    """Return all that the regime of both can plant: starts of rally and wave, the answer, and the probability."""
    found = []
    centres = range(*CENTRES)
    lags = range(LEAST_LAG, MOST_LAG + 1)
    for answer in (SELL, HOLD, BUY):
        for lag in (0,) if answer == HOLD else lags:
            share = 1 / 3 / len(centres) / (1 if answer == HOLD else len(lags))
            for centre in centres:
                place = starts(np.array(centre), np.array(lag), np.array(answer))
                found.append((int(place[0]), int(place[1]), answer, share))
    rally, wave, answers, chance = (np.array(column) for column in zip(*found, strict=True))
    return rally, wave, answers, chance


def patterns_on(decisions: PlantedDecisions, regime: int, sessions: int, *, of_price: bool) -> Floats:
    """Return the patterns that a regime's decisions plant in one modality: (sessions,), 0 where there is none.

    Parameters
    ----------
    decisions
        Of a company.
    regime
        Whose patterns.
    sessions
        Length of the result: what lies past it is cut off.
    of_price
        Of the regime of both, whether the rally or the wave of news.

    Returns
    -------
    numpy.ndarray
        In the patterns' own unit, 1 a session.
    """
    own = decisions.choose(decisions.regime == regime)
    begin = own.price_start if of_price else own.sentiment_start
    shapes = {PRICE: MOVES, SENTIMENT: MOODS, BOTH: dict.fromkeys((SELL, HOLD, BUY), SWAY)}[regime]
    found = np.zeros(sessions)
    at = own.first_session(begin)[:, None] + np.arange(LENGTH)
    inside = at < sessions
    planted = np.array([shapes[one] for one in own.answer.tolist()]).reshape(at.shape)
    found[at[inside]] = planted[inside]  # patterns of a company never overlap
    return found


@dataclass(frozen=True)
class LatentBounds:
    """Accuracy that the best answer reaches in the long run when it sees what was planted, of all or of one modality.

    Attributes
    ----------
    everything
        Of the true rule.
    price_only, sentiment_only
        Of the likeliest class given the patterns of one modality, where each begins included.
    one_modality_each
        Of a reader who knows the first two regimes, and of the third only where the rally begins: what is left to a
        model that sees no order between modalities.
    """

    everything: float
    price_only: float
    sentiment_only: float
    one_modality_each: float

    def record(self) -> dict[str, float]:
        """Return plain values."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


def latent_bounds() -> LatentBounds:
    """Return what can be known, by Bayes' rule over all that can be planted: no simulation."""
    rally, wave, answer, chance = sequences()

    def of_start(start: Whole) -> float:
        joint = np.zeros((STARTS, 3))
        np.add.at(joint, (start, answer), chance)
        return float(joint.max(axis=1).sum())  # the likeliest answer at each place

    price, sentiment, both = SHARES
    rally_alone, wave_alone = of_start(rally), of_start(wave)
    right = {
        "everything": 1.0,
        "price_only": price + sentiment / 3 + both * rally_alone,
        "sentiment_only": sentiment + price / 3 + both * wave_alone,
        "one_modality_each": price + sentiment + both * max(rally_alone, wave_alone),
    }
    # A guess that is the rule's answer with probability q is the label with q (1 - f) + (1 - q) f / 2.
    return LatentBounds(**{name: q * (1 - FLIPPED) + (1 - q) * FLIPPED / 2 for name, q in right.items()})
