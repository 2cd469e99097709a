"""The whole configuration: `finnex.toml`, checked before anything is read or written."""

from __future__ import annotations

import os
import re
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from finnex.config.images import ACROSS_THE_SECTION, ImageSettings, LabelSettings, ModelSettings
from finnex.config.inputs import SECTOR_ETFS, Inputs, quotes_of
from finnex.config.places import TLS_KEYS, DaskSettings, MlflowSettings, StateSettings, StoreSettings
from finnex.config.section import Section
from finnex.config.state import state_folder
from finnex.config.symbol import Symbol, distinct
from finnex.config.table_source import PATTERN, TABLE_SUFFIXES, TableSource
from finnex.config.trading import TradingSettings
from finnex.config.training import AUGMENTATION_PRESETS, AugmentationSettings, TrainingSettings
from finnex.errors import LONGEST_SENTENCE, MOST_LINES, ConfigError, InputsMissing, nearest, shortened, shown
from finnex.files.text_file import parse_toml, read_text

CREDENTIALS = re.compile(r"//[^/@\s]*@")


class Config(Section):
    """A whole run: inputs, what to draw, where to keep it, what to train.

    Raises
    ------
    ConfigError
        From `load_config`: unknown keys with the nearest valid name, bad values, missing files.
    """

    inputs: Inputs
    symbols: Annotated[tuple[Symbol, ...], Field(min_length=1), AfterValidator(distinct)]
    start: date | None = None
    end: date | None = None
    exchange: str = "XNYS"
    sectors: tuple[str, ...] = SECTOR_ETFS
    peers: tuple[str, ...] = ()
    """Competitors; absent, every other symbol of the prices table that is no sector fund, of 50 at most."""
    on_bad_company: Literal["refuse", "leave out"] = "refuse"
    """Where rows of a company are refused, or it cannot be drawn: refuse the run, or draw the others."""
    store: StoreSettings
    image: ImageSettings = ImageSettings()
    labels: LabelSettings = LabelSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    trading: TradingSettings = TradingSettings()
    state: StateSettings = StateSettings()
    mlflow: MlflowSettings = MlflowSettings()
    dask: DaskSettings = DaskSettings()

    @model_validator(mode="before")
    @classmethod
    def _preset_reaches_augmentation(cls, given: Any) -> Any:
        """Put the values of [training] preset below those of [augmentation]."""
        training = given.get("training") if isinstance(given, dict) else None
        preset = training.get("preset") if isinstance(training, dict) else getattr(training, "preset", None)
        own = given.get("augmentation", {}) if isinstance(given, dict) else None
        if isinstance(preset, str) and preset in AUGMENTATION_PRESETS and isinstance(own, dict):
            return given | {"augmentation": AUGMENTATION_PRESETS[preset] | own}
        return given

    @model_validator(mode="before")
    @classmethod
    def _quotes_wait_for_new_york(cls, given: Any) -> Any:
        """Put the delays of quotes that fit the exchange where [inputs] names none."""
        if not isinstance(given, dict) or not isinstance(exchange := given.get("exchange", "XNYS"), str):
            return given
        inputs = given.get("inputs")
        if isinstance(inputs, dict) and "quote_delay_minutes" not in inputs:
            return given | {"inputs": inputs | {"quote_delay_minutes": quotes_of(exchange)}}
        return given

    @model_validator(mode="after")
    def _sections_have_members(self) -> Config:
        if self.inputs.companies:
            return self
        asks = [
            *(["[image] cross_section = true"] if self.image.cross_section else []),
            *([f'[labels] kind = "{self.labels.kind}"'] if self.labels.kind in ACROSS_THE_SECTION else []),
        ]
        if asks:
            raise ValueError(
                f"{' and '.join(asks)} compares a company with the members of a universe. Name them: "
                '[inputs] companies = "companies.csv" (docs/universe.md)'
            )
        return self

    @model_validator(mode="after")
    def _catalogue_of_ones_own_says_what_it_has(self) -> Config:
        if self.image.cross_section and self.image.catalogue is not None:
            raise ValueError(
                "[image] cross_section adds rows to the bundled catalogue, and catalogue names one of your own. "
                "Copy the rows that you want from finnex/layout/cross_section.csv into it, and leave cross_section out"
            )
        return self

    @model_validator(mode="after")
    def _dates_in_order(self) -> Config:
        if self.start is not None and self.end is not None and self.start > self.end:
            raise ValueError(f"the range is empty: start {self.start} is after end {self.end}")
        return self


def _valid_keys(location: tuple[str | int, ...]) -> list[str]:
    model: type[BaseModel] = Config
    for part in (part for part in location if isinstance(part, str)):
        field = model.model_fields.get(part)
        kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
        found = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not found:
            return []
        model = found[0]
    return list(model.model_fields)


def _explain(error: ValidationError, path: Path) -> ConfigError:
    lines: list[str] = []
    for item in error.errors(include_url=False):
        location = item["loc"]
        where = shortened(".".join(str(part) for part in location if part != 0) or "file")
        if len(lines) == MOST_LINES:
            lines += [f"{path}: key '{where}' and further ones are wrong too."] * (error.error_count() - MOST_LINES)
            break
        if item["type"] == "extra_forbidden":
            hint = nearest(str(location[-1]), _valid_keys(location[:-1]))
            lines.append(f"{path}: unknown key '{where}'. {hint}")
        elif item["type"] == "missing":
            lines.append(f"{path}: key '{where}' is required and absent. Add it; `finnex init DIR` shows every key.")
        else:
            given = item["input"]
            value = "" if isinstance(given, dict) else f" (value: {CREDENTIALS.sub('//...@', shown(given))})"
            said = shortened(item["msg"].removeprefix("Value error, "), LONGEST_SENTENCE)
            lines.append(f"{path}: key '{where}': {said}{value}.")
    return ConfigError("\n".join(lines))


def _check_encoding(config: Config, path: Path) -> None:
    """Raise `ConfigError` where this process cannot write the name of a table, the store or a symbol's folder."""
    names = [source.path for _, sources in config.inputs.tables() for source in sources]
    for name in [*names, str(config.store.path), *config.symbols]:
        try:
            os.fsencode(name)
        except UnicodeEncodeError:
            raise ConfigError(
                f"{path}: '{name}' cannot be the name of a file here, because this process encodes names as "
                f"{sys.getfilesystemencoding()}. Set PYTHONUTF8=1, or a locale with UTF-8."
            ) from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is longer than the file system takes, or a folder that may not be looked into
        return False


def _absent(whole: Path, given: str) -> str:
    try:
        if whole.is_dir():
            return f"a folder without a table ({', '.join(TABLE_SUFFIXES)})"
    except OSError:
        pass
    return "a pattern that fits no file" if PATTERN & set(given) else "which does not exist"


def parse_config(document: dict[str, object], path: Path) -> Config:
    """Check a parsed configuration and make its paths absolute.

    Parameters
    ----------
    document
        What TOML gave.
    path
        The file it came from; relative paths in it start at its folder.
    """
    root = path.resolve().parent
    try:
        config = Config.model_validate(document, context={"root": root})
    except ValidationError as error:
        raise _explain(error, path) from None
    _check_encoding(config, path)
    absolute: dict[str, tuple[TableSource, ...]] = {}
    missing: list[str] = []
    for name, _ in config.inputs.tables():
        sources: tuple[TableSource, ...] = getattr(config.inputs, name)
        absolute[name] = tuple(one.located(root) for one in sources)
        missing += [
            f"{path}: [inputs] {name} names {root / one.path}, {_absent(root / one.path, one.path)}."
            for one in absolute[name]
            if not one.files
        ]
    tables = len(missing)
    if config.image.catalogue is not None and not _is_file(root / config.image.catalogue):
        missing.append(f"{path}: [image] catalogue names {root / config.image.catalogue}, which does not exist.")
    tls = {name: root / file for name in TLS_KEYS if (file := getattr(config.dask, name)) is not None}
    missing += [
        f"{path}: [dask] {name} names {file}, which does not exist." for name, file in tls.items() if not _is_file(file)
    ]
    if missing:
        kind = InputsMissing if len(missing) == tables else ConfigError
        raise kind("\n".join([*missing, "Correct the path; it is relative to the folder of the configuration file."]))
    changes: dict[str, object] = {
        "inputs": config.inputs.model_copy(update=absolute),
        "dask": config.dask.model_copy(update=tls),
        "state": StateSettings(path=state_folder(root, config.state.path)),
    }
    image: dict[str, object] = {}
    if config.image.layout.endswith(".toml"):
        image["layout"] = str(root / config.image.layout)
    if config.image.catalogue is not None:
        image["catalogue"] = root / config.image.catalogue
    if image:
        changes["image"] = config.image.model_copy(update=image)
    return config.model_copy(update=changes)


def load_config(path: str | Path) -> Config:
    """Read and check a `finnex.toml`.

    Parameters
    ----------
    path
        The file; relative paths in it start at its folder.

    Returns
    -------
    Config
        Every setting, those that the file leaves out with their defaults.

    Raises
    ------
    ConfigError
        With every problem of the file, one a line.

    Examples
    --------
    >>> load_config("finnex.toml").symbols
    ('NVDA',)
    >>> load_config("no_such_file.toml")
    Traceback (most recent call last):
    ...
    finnex.errors.ConfigError: no_such_file.toml: ...
    """
    path = Path(path)
    try:
        text = read_text(path)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}. `finnex init DIR` writes a new one.") from None
    try:
        document = parse_toml(text)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}.") from None
    return parse_config(document, path)
