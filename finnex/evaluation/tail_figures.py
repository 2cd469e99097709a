"""The worst and best twentieth of a portfolio's daily returns, as they happened."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
ONE_IN = 20
"""The tail is one return in so many: 5 %."""


def value_at_risk(returns: Floats) -> float:
    """Return the loss that one return in twenty reaches or exceeds.

    Parameters
    ----------
    returns
        (n,) with n of 20 or more; no NaN.

    Returns
    -------
    float
        The negative of the lower 5 % quantile, which is the ceil(n / 20)th of the ascending returns (numpy's method
        `inverted_cdf`). Below 0 where even that return is a gain.

    Examples
    --------
    >>> value_at_risk(np.arange(-10, 10) / 100)
    0.1
    """
    return float(-np.sort(returns)[-(-len(returns) // ONE_IN) - 1])


def expected_shortfall(returns: Floats) -> float:
    """Return the mean loss of the worst twentieth.

    Where n is no multiple of 20, the last return enters with the part that is missing (Acerbi and Tasche, On the
    Coherence of Expected Shortfall, 2002, equation 12). It is never below `value_at_risk`.

    Parameters
    ----------
    returns
        (n,) with n of 20 or more; no NaN.

    Returns
    -------
    float
        The negative of a mean return.

    Examples
    --------
    >>> round(expected_shortfall(np.append(np.arange(-10, 10), np.zeros(10)) / 100), 12)
    0.096666666667
    """
    ordered, whole = np.sort(returns), len(returns) // ONE_IN
    wanted = len(returns) / ONE_IN
    part = (wanted - whole) * ordered[whole] if wanted > whole else 0.0
    return float(-(ordered[:whole].sum() + part) / wanted)


def tail_ratio(returns: Floats) -> float | None:
    """Return the size of the 95th percentile over that of the 5th, interpolated linearly as `numpy.percentile` does.

    It is empyrical's figure of this name: above 1 where large gains exceed large losses.

    Parameters
    ----------
    returns
        (n,), no NaN.

    Returns
    -------
    float or None
        None where the 5th percentile is 0.

    Examples
    --------
    >>> round(tail_ratio(np.array([-0.02, 0.0, 0.04])), 6)
    2.0
    """
    low, high = np.abs(np.percentile(returns, [5, 95]))
    return float(high / low) if low > 0 else None
