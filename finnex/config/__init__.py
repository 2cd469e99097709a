"""One run configuration: `finnex.toml`, checked whole before anything is read or written."""

from __future__ import annotations

from finnex.config.images import HORIZONS, ImageSettings, LabelSettings, ModelSettings
from finnex.config.inputs import SECTOR_ETFS, TABLES, Inputs
from finnex.config.places import TLS_KEYS, Address, DaskCluster, DaskSettings, MlflowSettings, StoreSettings
from finnex.config.run import Config, load_config, parse_config
from finnex.config.section import PositiveInt, Section
from finnex.config.table_source import TableSource, files_of, source_at
from finnex.config.trading import TradingSettings
from finnex.config.training import AugmentationSettings, TrainingSettings

__all__ = [
    "HORIZONS",
    "SECTOR_ETFS",
    "TABLES",
    "TLS_KEYS",
    "Address",
    "AugmentationSettings",
    "Config",
    "DaskCluster",
    "DaskSettings",
    "ImageSettings",
    "Inputs",
    "LabelSettings",
    "MlflowSettings",
    "ModelSettings",
    "PositiveInt",
    "Section",
    "StoreSettings",
    "TableSource",
    "TradingSettings",
    "TrainingSettings",
    "files_of",
    "load_config",
    "parse_config",
    "source_at",
]
