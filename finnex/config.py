"""One run configuration: `finnex.toml`, checked whole before anything is read or written."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from finnex.errors import ConfigError, nearest

SECTOR_ETFS = ("XLB", "XLC", "XLE", "XLF", "XLI", "XLK", "XLP", "XLRE", "XLU", "XLV", "XLY")
"""The eleven sector funds: reference instruments, never somebody's competitors."""

HORIZONS = (1, 3, 5, 10, 20)
"""Label horizons in sessions."""

MappedTable = Literal["enhanced", "sentiment", "competitive"]
"""Tables whose columns may have other names in the file."""

PositiveInt = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A table of the configuration file: unknown keys are errors, values cannot change later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Inputs(Section):
    """Paths of the input tables, relative to the configuration file, and when their rows become known."""

    prices: Path | None = None
    """Absent, the open, high, low, close and volume of the enhanced file are the prices."""
    macro: Path | None = None
    fundamentals: Path | None = None
    sentiment: Path | None = None
    competitive: Path | None = None
    events: Path | None = None
    options: Path | None = None
    enhanced: Path | None = None
    synthetic: tuple[str, ...] = ()
    """Names of tables that hold generated data; written into every store and report."""
    preset: Literal["specification"] | None = None
    """How other people's enhanced, sentiment and competitive files are read: `finnex.data.mapping`."""
    columns: dict[MappedTable, dict[str, str]] = Field(default_factory=dict)
    """By table, our name of a column to the file's name of it; goes before the preset."""
    timestamp_zone: str | None = None
    """IANA zone of time stamps that carry none; absent, such a stamp is refused."""
    lexicon: Literal["vader", "loughran_mcdonald"] | None = None
    """What scores a sentiment record that has a text and no score; absent, such a record is refused."""
    enhanced_heatmaps: tuple[str, ...] = ()
    """Heat maps that take the enhanced file's columns which the catalogue does not know, filled in this order;
    absent, such columns are refused."""
    quote_delay_minutes: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=lambda: (
            {"VIX": 15, "SP500": 0, "NASDAQ": 0}
            | dict.fromkeys(("SPY", "TLT", "IEF", "LQD", "TIP", "EEM", "EFA", *SECTOR_ETFS), 0)
        )
    )
    """Macro series that are market quotes, with minutes after the session close until their value is known.
    Every other series follows `available_date`, a date being usable from the next session on."""

    @model_validator(mode="after")
    def _prices_come_from_somewhere(self) -> Inputs:
        if self.prices is None and self.enhanced is None:
            raise ValueError("there are no prices; name a prices table, or an enhanced file that has them")
        if self.timestamp_zone is not None and self.timestamp_zone not in (zones := available_timezones()):
            raise ValueError(
                f"timestamp_zone '{self.timestamp_zone}' is unknown. {nearest(self.timestamp_zone, zones)}"
            )
        return self

    def tables(self) -> Iterator[tuple[str, Path]]:
        """Yield name and path of every table that is given."""
        for name in ("prices", "macro", "fundamentals", "sentiment", "competitive", "events", "options", "enhanced"):
            path = getattr(self, name)
            if path is not None:
                yield name, path


class StoreSettings(Section):
    """Where the images live."""

    path: Path


class ImageSettings(Section):
    """What an image is: a bundled layout's name or a layout file, and how many sessions it shows."""

    layout: str = "mega"
    lookback: PositiveInt | None = None
    """Sessions shown; absent, the layout's own window."""
    catalogue: Path | None = None
    """A catalogue of your own, relative to the configuration file; absent, the bundled one."""
    blending: bool = False
    """Whether regions are muted by their blend (regime, source agreement, ...)."""


class LabelSettings(Section):
    """What a model is asked: the kind of label, its horizon, and the thresholds."""

    kind: Literal["price_movement", "triple_barrier"] = "price_movement"
    horizon: Literal[1, 3, 5, 10, 20] = 5
    threshold_volatility: Annotated[float, Field(gt=0, le=10)] = 0.5
    """Buy above and Sell below this multiple of trailing volatility over the horizon."""
    barrier_volatility: Annotated[float, Field(gt=0, le=10)] = 1.0
    volatility_sessions: Annotated[int, Field(ge=10, le=504)] = 63


class ModelSettings(Section):
    """Which network, at which size."""

    architecture: Literal["multiscale_cnn"] = "multiscale_cnn"
    preset: Literal["small", "base"] = "small"


class TrainingSettings(Section):
    """How the network is trained and where the data is cut."""

    epochs: PositiveInt = 12
    batch_size: PositiveInt = 32
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 1e-2
    warmup_epochs: Annotated[int, Field(ge=0)] = 1
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.05
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    patience_epochs: PositiveInt = 5
    train_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.7
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    embargo_sessions: Annotated[int, Field(ge=0)] = 5
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced` weighs rare classes up; probabilities then no longer follow the classes' frequencies."""
    threads: PositiveInt | None = None
    """Threads of the network's arithmetic; absent, one less than there are cores."""
    seed: Annotated[int, Field(ge=0)] = 7

    @model_validator(mode="after")
    def _some_sessions_are_left_to_test(self) -> TrainingSettings:
        if self.train_fraction + self.validation_fraction >= 1:
            raise ValueError("train_fraction + validation_fraction leave nothing to test on; keep below 1")
        return self


class MlflowSettings(Section):
    """Where runs are recorded."""

    uri: str | None = None
    """Absent, the server that `finnex up` starts."""
    experiment: str = "finnex"


class DaskSettings(Section):
    """Where images are drawn: an existing scheduler by address, or local worker processes."""

    address: str | None = None
    workers: Annotated[int, Field(ge=0)] = 2
    """Worker processes; 0 draws in this process."""
    dates_per_task: PositiveInt = 1
    memory_limit: str = "2GiB"

    @model_validator(mode="after")
    def _one_place_only(self) -> DaskSettings:
        if self.address is not None and "workers" in self.model_fields_set:
            raise ValueError("give address or workers, not both: a scheduler brings its own workers")
        return self


class Config(Section):
    """A whole run: inputs, what to draw, where to keep it, what to train.

    Raises
    ------
    ConfigError
        From `load_config`: unknown keys with the nearest valid name, bad values, missing files.
    """

    inputs: Inputs
    symbols: Annotated[tuple[str, ...], Field(min_length=1)]
    start: date | None = None
    end: date | None = None
    exchange: str = "XNYS"
    sectors: tuple[str, ...] = SECTOR_ETFS
    peers: tuple[str, ...] = ()
    """Competitors; absent, every other symbol of the prices table that is no sector fund."""
    store: StoreSettings
    image: ImageSettings = ImageSettings()
    labels: LabelSettings = LabelSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    mlflow: MlflowSettings = MlflowSettings()
    dask: DaskSettings = DaskSettings()

    @model_validator(mode="after")
    def _dates_in_order(self) -> Config:
        if self.start is not None and self.end is not None and self.start > self.end:
            raise ValueError(f"the range is empty: start {self.start} is after end {self.end}")
        return self


def _valid_keys(location: tuple[str | int, ...]) -> list[str]:
    model: type[BaseModel] = Config
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        model = field.annotation
    return list(model.model_fields)


def _explain(error: ValidationError, path: Path) -> ConfigError:
    lines = []
    for item in error.errors():
        location = item["loc"]
        where = ".".join(str(part) for part in location) or "file"
        if item["type"] == "extra_forbidden":
            hint = nearest(str(location[-1]), _valid_keys(location[:-1]))
            lines.append(f"{path}: unknown key '{where}'. {hint}")
        elif item["type"] == "missing":
            lines.append(f"{path}: key '{where}' is required and absent. Add it; `finnex init DIR` shows every key.")
        else:
            value = "" if isinstance(item["input"], dict) else f" (value: {item['input']!r})"
            lines.append(f"{path}: key '{where}': {item['msg'].removeprefix('Value error, ')}{value}.")
    return ConfigError("\n".join(lines))


def parse_config(document: dict[str, object], path: Path) -> Config:
    """Check a parsed configuration and make its paths absolute.

    Parameters
    ----------
    document
        What TOML gave.
    path
        The file it came from; relative paths in it start at its folder.
    """
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        raise _explain(error, path) from None
    root = path.resolve().parent
    absolute = {name: root / table for name, table in config.inputs.tables()}
    missing = [
        f"{path}: [inputs] {name} names {table}, which does not exist."
        for name, table in absolute.items()
        if not table.is_file()
    ]
    if config.image.catalogue is not None and not (root / config.image.catalogue).is_file():
        missing.append(f"{path}: [image] catalogue names {root / config.image.catalogue}, which does not exist.")
    if missing:
        raise ConfigError(
            "\n".join([*missing, "Correct the path; it is relative to the folder of the configuration file."])
        )
    changes: dict[str, object] = {
        "inputs": config.inputs.model_copy(update=absolute),
        "store": StoreSettings(path=root / config.store.path),
    }
    image: dict[str, object] = {}
    if config.image.layout.endswith(".toml"):
        image["layout"] = str(root / config.image.layout)
    if config.image.catalogue is not None:
        image["catalogue"] = root / config.image.catalogue
    if image:
        changes["image"] = config.image.model_copy(update=image)
    return config.model_copy(update=changes)


def load_config(path: Path) -> Config:
    """Read and check a `finnex.toml`.

    Raises
    ------
    ConfigError
        With every problem of the file, one a line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). `finnex init DIR` writes a new one.") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}.") from None
    return parse_config(document, path)
