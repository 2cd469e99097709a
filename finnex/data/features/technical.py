"""Technical features of one symbol's bars: momentum, trend, volume, statistics, candlestick patterns.

Indicators are TA-Lib's, computed on traded bars and free of scale: values in units of price are divided by the
close, and cumulative sums (OBV, A/D) are taken over a window instead, so that neither a split of the stock nor the
first row of the file changes them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import talib

from finnex.data.features.arithmetic import QUARTER, YEAR, log, over
from finnex.data.features.context import Context, Features
from finnex.data.point_in_time import Floats

BULLISH = (
    "CDLENGULFING",
    "CDLHAMMER",
    "CDLMORNINGSTAR",
    "CDLPIERCING",
    "CDL3WHITESOLDIERS",
    "CDLHARAMI",
    "CDLINVERTEDHAMMER",
    "CDLDRAGONFLYDOJI",
    "CDLBELTHOLD",
    "CDLMARUBOZU",
    "CDLCLOSINGMARUBOZU",
    "CDL3OUTSIDE",
    "CDL3INSIDE",
)
BEARISH = (
    "CDLENGULFING",
    "CDLHANGINGMAN",
    "CDLEVENINGSTAR",
    "CDLDARKCLOUDCOVER",
    "CDL3BLACKCROWS",
    "CDLHARAMI",
    "CDLSHOOTINGSTAR",
    "CDLGRAVESTONEDOJI",
    "CDLBELTHOLD",
    "CDLMARUBOZU",
    "CDLCLOSINGMARUBOZU",
    "CDL3OUTSIDE",
    "CDL3INSIDE",
)
INDECISION = ("CDLDOJI", "CDLSPINNINGTOP", "CDLHIGHWAVE", "CDLLONGLEGGEDDOJI", "CDLRICKSHAWMAN")


def technical(context: Context) -> Features:
    """Return technical features on all sessions; NaN until an indicator's window is full."""
    bars = context.bars
    o, h, l, c = (bars[name].to_numpy(dtype="float64") for name in ("open", "high", "low", "close"))
    v = bars["volume"].to_numpy(dtype="float64")
    found = {**_returns(o, h, l, c), **_momentum(o, h, l, c, v), **_trend(h, l, c), **_volume(h, l, c, v)}
    found |= {**_statistics(c), **_patterns(o, h, l, c), **_cycles(c)}
    found |= _deltas(found)
    return {name: context.on_sessions(values) for name, values in found.items()}


def _returns(o: Floats, h: Floats, l: Floats, c: Floats) -> Features:
    log_close = pd.Series(np.log(c))
    found = {f"return_{n}": (log_close - log_close.shift(n)).to_numpy() for n in (1, 2, 3, 5, 10, 20, 60, 120)}
    found["return_overnight"] = np.log(o) - log_close.shift(1).to_numpy()
    found["return_intraday"] = np.log(c / o)
    span = h - l
    found["close_location"] = np.divide(c - l, span, out=np.full(len(c), 0.5), where=span > 0)
    found["momentum_12_1"] = (log_close.shift(21) - log_close.shift(YEAR)).to_numpy()
    found["reversal_5"] = found["return_5"] - found["return_20"] / 4
    return found


def _momentum(o: Floats, h: Floats, l: Floats, c: Floats, v: Floats) -> Features:
    macd, signal, histogram = talib.MACD(c, 12, 26, 9)
    slow_k, slow_d = talib.STOCH(h, l, c, 14, 3, 0, 3, 0)
    fast_k, _ = talib.STOCHRSI(c, 14, 5, 3, 0)
    aroon_down, aroon_up = talib.AROON(h, l, 25)
    return {
        "rsi_14": talib.RSI(c, 14),
        "rsi_5": talib.RSI(c, 5),
        "stochastic_k": slow_k,
        "stochastic_d": slow_d,
        "stochastic_rsi": fast_k,
        "williams_r": talib.WILLR(h, l, c, 14),
        "cci_20": talib.CCI(h, l, c, 20),
        "cmo_14": talib.CMO(c, 14),
        "mfi_14": talib.MFI(h, l, c, v, 14),
        "ultimate_oscillator": talib.ULTOSC(h, l, c),
        "balance_of_power_5": talib.SMA(talib.BOP(o, h, l, c), 5),
        "macd": macd / c,
        "macd_signal": signal / c,
        "macd_histogram": histogram / c,
        "ppo": talib.PPO(c, 12, 26, 1),
        "trix_15": talib.TRIX(c, 15),
        "aroon_up": aroon_up,
        "aroon_down": aroon_down,
        "plus_di": talib.PLUS_DI(h, l, c, 14),
        "minus_di": talib.MINUS_DI(h, l, c, 14),
        "adx_14": talib.ADX(h, l, c, 14),
    }


def _trend(h: Floats, l: Floats, c: Floats) -> Features:
    found: Features = {f"close_to_sma_{n}": np.log(c / talib.SMA(c, n)) for n in (5, 10, 20, 50, 100, 200)}
    found["sma_20_to_50"] = np.log(talib.SMA(c, 20) / talib.SMA(c, 50))
    found["sma_50_to_200"] = np.log(talib.SMA(c, 50) / talib.SMA(c, 200))
    found["close_to_ema_12"] = np.log(c / talib.EMA(c, 12))
    found["close_to_kama_20"] = np.log(c / talib.KAMA(c, 20))
    found["close_to_sar"] = (c - talib.SAR(h, l)) / c
    upper, middle, lower = talib.BBANDS(c, 20, 2.0, 2.0)
    width = upper - lower
    found["bollinger_position"] = np.divide(c - lower, width, out=np.full(len(c), np.nan), where=width > 0)
    found["bollinger_width"] = width / middle
    found["slope_20"] = talib.LINEARREG_SLOPE(np.log(c), 20)
    found["slope_60"] = talib.LINEARREG_SLOPE(np.log(c), 60)
    for n in (20, 55, YEAR):
        top, bottom = talib.MAX(h, n), talib.MIN(l, n)
        found[f"channel_position_{n}"] = np.divide(
            c - bottom, top - bottom, out=np.full(len(c), np.nan), where=top > bottom
        )
    return found


def _volume(h: Floats, l: Floats, c: Floats, v: Floats) -> Features:
    volume = pd.Series(v)
    log_volume, log_value = _log_of(volume), _log_of(pd.Series(c * v))
    total_20, total_63 = volume.rolling(20).sum(), volume.rolling(QUARTER).sum()
    direction = pd.Series(np.sign(np.diff(c, prepend=np.nan)))
    span = h - l
    location = np.divide(2 * c - h - l, span, out=np.zeros(len(c)), where=span > 0)
    typical = (h + l + c) / 3
    vwap = over(pd.Series(typical * v).rolling(20).sum().to_numpy(), total_20.to_numpy())
    flow = pd.Series(location * v)
    return {
        "volume_surprise_20": (log_volume - log_volume.rolling(20).mean()).to_numpy(),
        "volume_trend": (log_volume.rolling(5).mean() - log_volume.rolling(QUARTER).mean()).to_numpy(),
        "dollar_volume_surprise": (log_value - log_value.rolling(QUARTER).mean()).to_numpy(),
        "obv_63": over((direction * volume).rolling(QUARTER).sum().to_numpy(), total_63.to_numpy()),
        "accumulation_63": over(flow.rolling(QUARTER).sum().to_numpy(), total_63.to_numpy()),
        "chaikin_money_flow_20": over(flow.rolling(20).sum().to_numpy(), total_20.to_numpy()),
        "close_to_vwap_20": np.log(c / vwap),
        "force_13": (pd.Series(np.log(c)).diff() * volume / volume.rolling(20).mean()).rolling(13).mean().to_numpy(),
        "up_volume_share_20": (
            volume.where(direction > 0, 0.0).rolling(20).sum() / total_20.where(total_20 > 0)
        ).to_numpy(),
        "volume_return_correlation_20": pd.Series(np.log(c)).diff().rolling(20).corr(log_volume.diff()).to_numpy(),
    }


def _log_of(traded: pd.Series[float]) -> pd.Series[float]:
    """Return the logarithm of what was traded, a session without a trade at a thousandth of the quarter's mean.

    So the scale cancels in every difference, as it must: a split changes the number of shares.
    """
    least = traded.rolling(QUARTER, min_periods=1).mean() / 1000
    return log(traded.clip(lower=least).where(least > 0))


def _cycles(c: Floats) -> Features:
    """Hilbert transform indicators: the dominant cycle, the price's phase in it, and whether there is one."""
    sine, _ = talib.HT_SINE(c)
    return {
        "cycle_period": talib.HT_DCPERIOD(c),
        "cycle_sine": sine,
        "trend_mode_20": talib.SMA(talib.HT_TRENDMODE(c).astype("float64"), 20),
    }


def _deltas(found: Features) -> Features:
    """Return changes over 1, 5 and 20 sessions of what traders watch change."""
    wanted = (
        ("rsi_14", 1),
        ("rsi_14", 5),
        ("rsi_14", 20),
        ("macd_histogram", 1),
        ("macd_histogram", 5),
        ("adx_14", 5),
        ("mfi_14", 5),
        ("bollinger_width", 20),
    )
    return {f"{name}_delta_{n}": found[name] - pd.Series(found[name]).shift(n).to_numpy() for name, n in wanted}


def _statistics(c: Floats) -> Features:
    returns = pd.Series(np.log(c)).diff()
    positive = (returns > 0).astype("float64").where(returns.notna())
    path = returns.abs().rolling(20).sum()
    return {
        "skewness_60": returns.rolling(60).skew().to_numpy(),
        "kurtosis_60": returns.rolling(60).kurt().to_numpy(),
        "autocorrelation_60": returns.rolling(60).corr(returns.shift(1)).to_numpy(),
        "up_share_20": positive.rolling(20).mean().to_numpy(),
        "linear_fit_20": talib.CORREL(np.log(c), np.arange(len(c), dtype="float64"), 20) ** 2,
        "efficiency_20": (returns.rolling(20).sum().abs() / path.where(path > 0)).to_numpy(),
        "drawdown_252": np.log(c / talib.MAX(c, YEAR)),
        "rise_from_low_252": np.log(c / talib.MIN(c, YEAR)),
    }


def _patterns(o: Floats, h: Floats, l: Floats, c: Floats) -> Features:
    """Count candlestick patterns over five sessions; TA-Lib says +-100 for a pattern, 0 for none."""

    def count(names: tuple[str, ...], sign: int) -> Floats:
        hits = np.zeros(len(c))
        for name in names:
            found = getattr(talib, name)(o, h, l, c)
            hits += (found * sign > 0) if sign else (found != 0)
        return np.asarray(pd.Series(hits).rolling(5).sum().to_numpy())

    return {
        "bullish_patterns_5": count(BULLISH, 1),
        "bearish_patterns_5": count(BEARISH, -1),
        "indecision_patterns_5": count(INDECISION, 0),
    }
