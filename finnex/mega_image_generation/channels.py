"""The three channels of one session's image."""

from __future__ import annotations

from finnex.pipeline.daily_features import DailyFeatures, Image


def construct_sentiment_channel(daily_data: DailyFeatures) -> Image:
    """Return the red channel of a session, (512, 512): sentiment and behaviour.

    Parameters
    ----------
    daily_data
        What `extract_daily_features` returned.

    Returns
    -------
    numpy.ndarray
        float32 in [0, 1], 0 where not known.

    Examples
    --------
    >>> from finnex.mega_image_generation import FinNeXMegaImageGenerator
    >>> generator = FinNeXMegaImageGenerator("enhanced.csv", None, None, symbol="NVDA")
    >>> construct_sentiment_channel(generator.extract_daily_features("2015-03-31")).shape
    (512, 512)
    """
    return daily_data.channel("red")


def construct_technical_channel(daily_data: DailyFeatures) -> Image:
    """Return the green channel of a session, (512, 512): price action and technical indicators.

    Parameters
    ----------
    daily_data
        What `extract_daily_features` returned.

    Returns
    -------
    numpy.ndarray
        float32 in [0, 1], 0 where not known.

    Examples
    --------
    >>> from finnex.mega_image_generation import FinNeXMegaImageGenerator
    >>> generator = FinNeXMegaImageGenerator("enhanced.csv", None, None, symbol="NVDA")
    >>> construct_technical_channel(generator.extract_daily_features("2015-03-31")).shape
    (512, 512)
    """
    return daily_data.channel("green")


def construct_macro_fundamental_channel(daily_data: DailyFeatures) -> Image:
    """Return the blue channel of a session, (512, 512): macro economy and fundamentals.

    Parameters
    ----------
    daily_data
        What `extract_daily_features` returned.

    Returns
    -------
    numpy.ndarray
        float32 in [0, 1], 0 where not known.

    Examples
    --------
    >>> from finnex.mega_image_generation import FinNeXMegaImageGenerator
    >>> generator = FinNeXMegaImageGenerator("enhanced.csv", None, None, symbol="NVDA")
    >>> construct_macro_fundamental_channel(generator.extract_daily_features("2015-03-31")).shape
    (512, 512)
    """
    return daily_data.channel("blue")
