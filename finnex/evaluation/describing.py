"""What `evaluate_finnex_model` found, in a few lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finnex.evaluation.altered_inputs import ALL
from finnex.evaluation.interval import Interval
from finnex.evaluation.trading import BUY_AND_HOLD


def describe_evaluation(found: Mapping[str, Any]) -> str:
    """Say in a few lines what an evaluation found.

    Parameters
    ----------
    found
        What `evaluate_finnex_model` returned.

    Returns
    -------
    str
        Lines of text; what was not asked for is left out.

    Examples
    --------
    >>> import torch
    >>> from finnex.evaluation import evaluate_finnex_model
    >>> class Undecided(torch.nn.Module):
    ...     def forward(self, images):
    ...         return torch.zeros(len(images), 3), torch.zeros(len(images), 1, 4)
    >>> loader = [(torch.zeros(2, 3, 512, 512), torch.tensor([0, 1]))]
    >>> found = evaluate_finnex_model(Undecided(), loader, financial_metrics=False, horizon=5)
    >>> describe_evaluation(found).splitlines()[0]
    'On 2 unseen sessions nothing can be said of Undecided...
    """
    ml, money = found["ml_metrics"], found["financial_performance"]
    lines = [ml["verdict"], *(f"But: {caution}" for caution in ml["cautions"])]
    if "accuracy" in ml:
        best = ml["best_constant_answer"]
        lines.append(
            f"accuracy {_words(ml['accuracy'])} on {ml['sessions']} sessions; majority class "
            f"{ml['majority']['accuracy']:.2f} (frequencies from {ml['majority']['frequencies_from']}), always "
            f"'{best['class']}' {best['accuracy']:.2f}; answers: "
            + ", ".join(f"{name} {count}" for name, count in ml["given"].items())
        )
    if "f1_score" in ml:
        lines.append(f"F1 {ml['f1_score']:.2f}. {ml['macro_averages']['meaning']}")
    if money is not None and "unavailable" in money:
        lines.append(f"no financial performance: {money['unavailable']}")
    elif money is not None:
        held = money[BUY_AND_HOLD]
        if money["trades"] == 0:
            lines.append("no trades: it answered hold every time, or no position had a bar to enter at")
        elif "sharpe_ratio" in money:
            lines.append(
                f"Sharpe ratio net of {money['cost_bps']:g} bps {_sharpe(money)}, buy and hold {_sharpe(held)}; "
                f"{money['trades']} trades"
            )
        if "max_drawdown" in money:
            lines.append(f"largest drawdown {money['max_drawdown']:.1%}, buy and hold {held['max_drawdown']:.1%}")
        if money["unfinished"]:
            lines.append(f"prices end on {money['unfinished']}: what was held then is valued at that close, not sold")
        if money["bankrupt"]:
            lines.append(f"bankrupt on {money['bankrupt']}: the wealth is 0 from then on")
    drops = found["attention_analysis"]["section_occlusion"]
    lines += [_lost(f"section {name}", one) for name, one in drops.items()]
    modal = found["cross_modal_performance"]
    for name, one in modal.items():
        if name != ALL:
            share = "" if one["shapley"] is None else f", Shapley value {_words(one['shapley'])}"
            lines.append(_lost(f"channel {name}", one))
            lines.append(
                f"with channel {name} alone: accuracy {one['accuracy_alone']:.2f}, with none "
                f"{modal[ALL]['accuracy_of_a_blank']:.2f}{share}; {one['meaning']}"
            )
    return "\n".join(lines)


def _lost(what: str, one: Mapping[str, Any]) -> str:
    rise = _words(one["log_loss_rise"], ".3f")
    return f"without {what}: accuracy falls by {_words(one['drop'])}, log loss rises by {rise}"


def _sharpe(figures: Mapping[str, Any]) -> str:
    value = "-" if figures["sharpe_ratio"] is None else f"{figures['sharpe_ratio']:.2f}"
    if figures["sharpe_ratio_no_interval"]:
        return f"{value} ({figures['sharpe_ratio_no_interval']})"
    return f"{value} [{figures['sharpe_ratio_low']:.2f}, {figures['sharpe_ratio_high']:.2f}]"


def _words(interval: Mapping[str, Any], form: str = ".2f") -> str:
    found = Interval(interval["value"], interval["low"], interval["high"], interval.get("no_interval", ""))
    return found.words(form)
