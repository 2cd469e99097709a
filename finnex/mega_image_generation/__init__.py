"""The specification's notebook face: `FinNeXMegaImageGenerator` over the modules that do the work.

Nothing is computed here: tables are read by `finnex.data`, images are drawn by the tasks of `finnex.pipeline` and kept
in an image store. `docs/specification.md` says where every name of the specification lives.
"""

from __future__ import annotations

from finnex.mega_image_generation.channels import (
    construct_macro_fundamental_channel,
    construct_sentiment_channel,
    construct_technical_channel,
)
from finnex.mega_image_generation.generator import FinNeXMegaImageGenerator
from finnex.pipeline.daily_features import DAILY_KEYS, DailyFeatures

__all__ = [
    "DAILY_KEYS",
    "DailyFeatures",
    "FinNeXMegaImageGenerator",
    "construct_macro_fundamental_channel",
    "construct_sentiment_channel",
    "construct_technical_channel",
]
