"""How often noise wins, and how large a true gain is found, by the rules of the product.

    python -m benchmarks.verdicts [--studies 2000] [--ladders 400] [--seed 0]

Prints Markdown tables. Exits with 1 where noise wins in more than 5 % of studies, promotions or ladders, by more than
three standard errors of the repeats.

- Studies: a model and six baselines that all guess, some of them persistently, or say always the same; 'beats' or
  'worse' for at least one of them.
- Promotion: a challenger that is no better than the champion, both clearly better than the baselines. Without a
  champion: a challenger that guesses.
- Ladder: 50 challengers in turn on one test part; at least one false promotion.
- Power: the share of studies in which a model whose accuracy is higher by some points beats all six baselines, and of
  first trials in which it becomes champion.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from benchmarks.coverage import classes, days, overlapping, persistent
from finnex.evaluation.promotion_rule import Against, judge
from finnex.evaluation.scorecard import SIMPLE_BASELINES, gaps_of
from finnex.evaluation.verdict import Word, verdicts

AT_MOST, CHALLENGERS = 0.05, 50
SETTINGS = ((1, 60, 1), (5, 60, 1), (5, 250, 1), (5, 250, 5), (20, 240, 1), (20, 500, 1))
"""Horizon, sessions and symbols."""
Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def labels_of(rng: np.random.Generator, sessions: int, horizon: int, symbols: int) -> tuple[Labels, Labels]:
    """Return labels that overlap, and the newest ones that were known at each decision."""
    label = classes(overlapping(rng, sessions + horizon, horizon, symbols))
    return label[horizon:], label[:-horizon]


def guesses(rng: np.random.Generator, label: Labels, memory: float) -> Labels:
    """Return answers that know nothing; with a memory they are persistent."""
    return classes(persistent(rng, *label.shape, memory))


def knowing(rng: np.random.Generator, label: Labels, gain: float, memory: float = 0.9) -> Labels:
    """Return answers that are right more often than a guess, by `gain`."""
    known = rng.random(label.shape) < gain / (1 - 1 / 3)
    return np.where(known, label, guesses(rng, label, memory))


def study(rng: np.random.Generator, horizon: int, sessions: int, symbols: int, gain: float) -> dict[str, Word]:
    """Return the product's words on a model and six baselines that know nothing."""
    label, before = labels_of(rng, sessions, horizon, symbols)
    said = [
        knowing(rng, label, gain), np.ones_like(label), before,
        *(guesses(rng, label, memory) for memory in (0.0, 0.5, 0.9, 0.97)),
    ]  # fmt: skip
    right = {
        name: (one == label).astype(np.float64).ravel()
        for name, one in zip(("model", *SIMPLE_BASELINES), said, strict=True)
    }
    return verdicts(gaps_of(right, days(*label.shape), horizon))


def scores(said: Labels, label: Labels, sure: float) -> tuple[Floats, Floats]:
    """Return log loss and hits, by row, of answers that are `sure` of what they say."""
    right = (said == label).ravel()
    return -np.log(np.where(right, sure, (1 - sure) / 2)), right.astype(np.float64)


def against(own: tuple[Floats, Floats], other: tuple[Floats, Floats], dates: npt.NDArray[np.datetime64]) -> Against:
    """Return a challenger's differences from another model."""
    return Against(dates, own[0] - other[0], own[1] - other[1], other[0])


def ladder(
    rng: np.random.Generator, horizon: int, sessions: int, symbols: int, gain: float, *, challengers: int,
    champion: bool,
) -> list[bool]:  # fmt: skip
    """Return which of some challengers in turn are promoted, all of the same worth, on one test part.

    Parameters
    ----------
    gain
        Of champion and challengers in accuracy over a guess; baselines guess.
    champion
        Whether there is one from the beginning.
    """
    label, before = labels_of(rng, sessions, horizon, symbols)
    dates, sure = days(*label.shape), 1 / 3 + gain

    def asked(gain: float) -> tuple[Floats, Floats]:
        return scores(knowing(rng, label, gain), label, max(sure, 0.4))

    flat = -np.log(np.full(label.size, 1 / 3)), np.asarray(label == 1, dtype=np.float64).ravel()
    baselines = {"majority": flat, "persistence": scores(before, label, 0.36), "boosted_trees": asked(0.0)}
    throne, found = asked(gain) if champion else None, []
    for number in range(challengers):
        own = asked(gain)
        decision = judge(
            {name: against(own, one, dates) for name, one in baselines.items()},
            None if throne is None else against(own, throne, dates), horizon=horizon,
            trial=number + 1 + int(champion),
        )  # fmt: skip
        found.append(decision.promoted)
        if decision.promoted:
            throne = own
    return found


def limit(repeats: int) -> float:
    """Return the share that a simulation of what happens in 5 % of cases exceeds once in 700: three standard errors."""
    return float(AT_MOST + 3 * np.sqrt(AT_MOST * (1 - AT_MOST) / repeats))


def main(say: Callable[[str], None] = print) -> int:
    """Print the tables; return 1 where noise wins too often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--ladders", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    failed: list[str] = []

    def check(name: str, share: float, repeats: int) -> str:
        if share > limit(repeats):
            failed.append(f"{name}: {share:.3f}")
        return f"{share:.3f}"

    say(f"{asked.studies} studies and promotions, {asked.ladders} ladders of {CHALLENGERS} challengers each\n")
    say("| h, sessions, symbols | 'beats' | either word | over an equal | of 50, no champion | of 50 equals |")
    say("|---|---|---|---|---|---|")
    for horizon, sessions, symbols in SETTINGS:
        rng = np.random.default_rng((asked.seed, horizon, sessions, symbols))
        where = (rng, horizon, sessions, symbols)
        words = [set(study(*where, 0.0).values()) for _ in range(asked.studies)]
        once = [ladder(*where, 0.3, challengers=1, champion=True)[0] for _ in range(asked.studies)]
        noise = [any(ladder(*where, 0.0, challengers=CHALLENGERS, champion=False)) for _ in range(asked.ladders)]
        equal = [any(ladder(*where, 0.3, challengers=CHALLENGERS, champion=True)) for _ in range(asked.ladders)]
        name = f"{horizon}, {sessions}, {symbols}"
        cells = [
            check(f"{name}: beats", float(np.mean(["beats" in one for one in words])), asked.studies),
            check(f"{name}: either", float(np.mean([bool(one - {"open"}) for one in words])), asked.studies),
            check(f"{name}: promoted", float(np.mean(once)), asked.studies),
            check(f"{name}: noise ladder", float(np.mean(noise)), asked.ladders),
            check(f"{name}: ladder", float(np.mean(equal)), asked.ladders),
        ]
        say(f"| {name} | {' | '.join(cells)} |")
    say("\n| gain, points | sessions | symbols | beats all six | champion at trial 1 | at trial 10 |")
    say("|---|---|---|---|---|---|")
    repeats = max(1, asked.studies // 10)
    for gain in (0.03, 0.05, 0.10):
        for sessions in (250, 500):
            for symbols in (1, 10):
                rng = np.random.default_rng((asked.seed, 1, sessions, symbols))
                where = (rng, 5, sessions, symbols)
                beats = np.mean([set(study(*where, gain).values()) == {"beats"} for _ in range(repeats)])
                tries = [first_of(*where, gain) for _ in range(repeats)]
                first, tenth = np.mean(tries, axis=0)
                say(f"| {100 * gain:.0f} | {sessions} | {symbols} | {beats:.2f} | {first:.2f} | {tenth:.2f} |")
    say(f"\noutside of the promise: {failed or 'none'}")
    return int(bool(failed))


def first_of(rng: np.random.Generator, horizon: int, sessions: int, symbols: int, gain: float) -> tuple[bool, bool]:
    """Return whether a model that knows something becomes the first champion at its 1st trial, and at its 10th.

    It is as sure of its answers as it is right.
    """
    label, before = labels_of(rng, sessions, horizon, symbols)
    dates, own = days(*label.shape), scores(knowing(rng, label, gain), label, 1 / 3 + gain)
    flat = -np.log(np.full(label.size, 1 / 3)), np.asarray(label == 1, dtype=np.float64).ravel()
    others = {"majority": flat, "persistence": scores(before, label, 0.36)}
    pairs = {name: against(own, one, dates) for name, one in others.items()}
    first, tenth = (judge(pairs, None, horizon=horizon, trial=trial).promoted for trial in (1, 10))
    return first, tenth


if __name__ == "__main__":
    sys.exit(main())
