"""A portfolio kept as a clerk keeps it: one sub-portfolio, one company, one share at a time, in plain loops.

Written from the rules in `finnex.evaluation.portfolio`, without its code: the tests hold the two against each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field


def sign(value: float) -> int:
    return (value > 0) - (value < 0)


@dataclass
class Sub:
    cash: float
    shares: dict[int, float] = field(default_factory=dict)
    wants: dict[int, int] = field(default_factory=dict)

    def held(self, company: int) -> float:
        return self.shares.get(company, 0.0)


@dataclass
class Clerk:
    opens: list[list[float]]
    closes: list[list[float]]
    decisions: list[list[float]]
    horizon: int
    cost: float
    fee_a_session: float

    def run(self) -> tuple[list[float], list[float], int | None]:
        """Return wealth at each close, value traded in each session, and the session of a bankruptcy."""
        decided = [t for t, row in enumerate(self.decisions) if not all(math.isnan(p) for p in row)]
        self.first, self.last = decided[0], decided[-1]
        number = min(self.horizon, self.last - self.first + 1)
        self.subs = [Sub(1 / number) for _ in range(number)]
        self.companies = range(len(self.opens[0]))
        self.price = dict.fromkeys(self.companies, 0.0)
        wealth: list[float] = []
        traded: list[float] = []
        end = min(self.last + self.horizon, len(self.opens) - 1)
        for session in range(self.first + 1, end + 1):
            self.traded = 0.0
            alive = self.at_open(session) and self.at_close(session)
            traded.append(self.traded)
            if not alive:
                left = end - session
                return wealth + [0.0] * (left + 1), traded + [0.0] * left, session - self.first - 1
            wealth.append(self.worth())
        return wealth, traded, None

    def bar(self, session: int, company: int) -> bool:
        return not math.isnan(self.closes[session][company])

    def worth(self) -> float:
        return sum(s.cash + sum(n * self.price[c] for c, n in s.shares.items()) for s in self.subs)

    def at_open(self, session: int) -> bool:
        for company in self.companies:
            if self.bar(session, company):
                self.price[company] = self.opens[session][company]
        if self.worth() <= 0:
            return False
        orders: list[tuple[int, int, float]] = []  # sub-portfolio, company, shares afterwards
        turn = (session - 1 - self.first) % len(self.subs) if session - 1 <= self.last else None
        for number, sub in enumerate(self.subs):
            for company in self.companies:
                if not self.bar(session, company):
                    continue
                if number == turn:
                    continue
                if sub.held(company) != 0 and sign(sub.held(company)) != sub.wants.get(company, 0):
                    orders.append((number, company, 0.0))
        if turn is not None:
            orders += self.entry(session, turn, self.decisions[session - 1])
        self.execute(orders)
        return True

    def entry(self, session: int, turn: int, decision: list[float]) -> list[tuple[int, int, float]]:
        sub = self.subs[turn]
        there = [c for c in self.companies if self.bar(session, c)]
        asked = [c for c in there if not math.isnan(decision[c])]
        for company in self.companies:
            wanted = decision[company]
            sub.wants[company] = 0 if math.isnan(wanted) else sign(wanted)
        capital = sub.cash
        for company in self.companies:
            value = sub.held(company) * self.price[company]
            capital += value if company in there else value - abs(value)
        capital = max(0.0, capital)
        share = {c: decision[c] / len(asked) if c in asked else 0.0 for c in there}

        def missing(left: float) -> float:
            """Wealth that is left, more than capital less costs."""
            spent = sum(abs(share[c] * left - sub.held(c) * self.price[c]) for c in there)
            return left - (capital - self.cost * spent)

        low, high = 0.0, capital  # bisection: `missing` rises with what is left
        if missing(0.0) >= 0:
            high = 0.0
        for _ in range(200):
            middle = (low + high) / 2
            if missing(middle) > 0:
                high = middle
            else:
                low = middle
        return [(turn, c, share[c] * low / self.price[c]) for c in there]

    def execute(self, orders: list[tuple[int, int, float]]) -> None:
        for company in self.companies:
            own = [(n, after - self.subs[n].held(company), after) for n, c, after in orders if c == company]
            net = abs(sum(change for _, change, _ in own)) * self.price[company]
            gross = sum(abs(change) for _, change, _ in own)
            self.traded += net
            for number, change, after in own:
                part = abs(change) / gross if gross > 0 else 0.0
                self.subs[number].cash -= change * self.price[company] + part * self.cost * net
                self.subs[number].shares[company] = after

    def at_close(self, session: int) -> bool:
        for company in self.companies:
            if self.bar(session, company):
                self.price[company] = self.closes[session][company]
        for company in self.companies:
            net = sum(sub.held(company) for sub in self.subs)
            shorts = [(sub, -sub.held(company)) for sub in self.subs if sub.held(company) < 0]
            if net < 0:
                owed = self.fee_a_session * -net * self.price[company]
                for sub, short in shorts:
                    sub.cash -= owed * short / sum(each for _, each in shorts)
        ended = session - self.horizon
        if ended >= self.first:
            sub = self.subs[(ended - self.first) % len(self.subs)]
            sub.wants = {}
        if session <= self.last:
            sub = self.subs[(session - self.first) % len(self.subs)]
            sub.wants = {c: 0 if math.isnan(p) else sign(p) for c, p in enumerate(self.decisions[session])}
        orders = [
            (number, company, 0.0)
            for number, sub in enumerate(self.subs)
            for company in self.companies
            if self.bar(session, company)
            and sub.held(company) != 0
            and sign(sub.held(company)) != sub.wants.get(company, 0)
        ]
        self.execute(orders)
        return self.worth() > 0
