"""The layout: which region stands where, in which channel, drawn by which encoder from which features."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import blake2b
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from finnex.encoders import ENCODERS, Encoder
from finnex.errors import LayoutError, nearest
from finnex.layout.catalogue import Catalogue, parse_catalogue

BUNDLED = ("mega",)


@dataclass(frozen=True)
class Section:
    """A band of rows with one theme; half-open bounds."""

    name: str
    rows: tuple[int, int]


@dataclass(frozen=True)
class Region:
    """A rectangle of one channel; half-open bounds, features in drawing order."""

    name: str
    section: str
    channel: str
    rows: tuple[int, int]
    columns: tuple[int, int]
    encoder_name: str
    encoder: Encoder
    features: tuple[str, ...]

    @property
    def height(self) -> int:
        """Rows."""
        return self.rows[1] - self.rows[0]

    @property
    def width(self) -> int:
        """Columns, with the margin that no session fills."""
        return self.columns[1] - self.columns[0]


@dataclass(frozen=True)
class Layout:
    """A whole image, as data. `text` is the file as it was read; the store keeps it."""

    name: str
    height: int
    width: int
    channels: tuple[str, ...]
    lookback: int
    sections: tuple[Section, ...]
    regions: tuple[Region, ...]
    catalogue: Catalogue
    text: str

    @cached_property
    def hash(self) -> str:
        """Hash of everything that decides what is drawn: layout, catalogue, window."""
        digest = blake2b(digest_size=16)
        for part in (self.text, self.catalogue.text, str(self.lookback)):
            digest.update(len(part).to_bytes(8, "little") + part.encode())
        return digest.hexdigest()

    def region(self, name: str) -> Region:
        """Return a region by name."""
        for region in self.regions:
            if region.name == name:
                return region
        raise LayoutError(
            f"layout '{self.name}' has no region '{name}'. {nearest(name, [region.name for region in self.regions])}"
        )


def load_layout(name: str, lookback: int | None = None, catalogue_path: Path | None = None) -> Layout:
    """Return a bundled layout by name, or one from a `.toml` file.

    Parameters
    ----------
    lookback
        Sessions shown, in place of the layout's own.
    catalogue_path
        A catalogue of your own; absent, the bundled one.
    """
    bundled = resources.files("finnex.layout")
    catalogue_text = (
        catalogue_path.read_text(encoding="utf-8")
        if catalogue_path
        else (bundled / "catalogue.csv").read_text(encoding="utf-8")
    )
    if name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except OSError as error:
            raise LayoutError(
                f"layout {name} cannot be read ({error.strerror}). Give a bundled name or an existing file."
            ) from None
    elif name in BUNDLED:
        text = (bundled / f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise LayoutError(f"layout '{name}' is unknown. {nearest(name, BUNDLED)} A file of your own ends in .toml.")
    return parse_layout(text, parse_catalogue(catalogue_text), lookback)


def parse_layout(text: str, catalogue: Catalogue, lookback: int | None = None) -> Layout:
    """Read and check a layout.

    Raises
    ------
    LayoutError
        Not TOML, unknown words (with the nearest valid one), regions that overlap or leave a gap, a window wider
        than its region, a feature in two heat maps.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LayoutError(f"the layout is not valid TOML: {error}.") from None
    _only(document, {"canvas", "section", "region"}, "layout")
    canvas = document.get("canvas", {})
    _only(canvas, {"name", "height", "width", "channels", "lookback_sessions"}, "canvas")
    sections = tuple(
        Section(_need(item, "name", "section"), _span(item, "rows", "section")) for item in document.get("section", [])
    )
    layout = Layout(
        name=_need(canvas, "name", "canvas"),
        height=_need(canvas, "height", "canvas"),
        width=_need(canvas, "width", "canvas"),
        channels=tuple(_need(canvas, "channels", "canvas")),
        lookback=lookback or _need(canvas, "lookback_sessions", "canvas"),
        sections=sections,
        regions=tuple(_region(item, sections, catalogue) for item in document.get("region", [])),
        catalogue=catalogue,
        text=text,
    )
    _check(layout)
    return layout


def _only(item: dict[str, Any], valid: set[str], where: str) -> None:
    for key in item:
        if key not in valid:
            raise LayoutError(f"{where}: unknown key '{key}'. {nearest(key, valid)}")


def _need(item: dict[str, Any], key: str, where: str) -> Any:
    if key not in item:
        raise LayoutError(f"{where} '{item.get('name', '?')}': key '{key}' is missing. Add it.")
    return item[key]


def _span(item: dict[str, Any], key: str, where: str) -> tuple[int, int]:
    bounds = _need(item, key, where)
    if not (
        isinstance(bounds, list)
        and len(bounds) == 2
        and all(isinstance(bound, int) for bound in bounds)
        and 0 <= bounds[0] <= bounds[1]
    ):
        raise LayoutError(
            f"{where} '{item.get('name', '?')}': {key} {bounds!r} is no span. Write [first, last], both included."
        )
    return bounds[0], bounds[1] + 1


def _region(item: dict[str, Any], sections: tuple[Section, ...], catalogue: Catalogue) -> Region:
    name = _need(item, "name", "region")
    where = f"region '{name}'"
    _only(item, {"name", "channel", "rows", "columns", "encoder", "parameters", "features"}, where)
    encoder_name = _need(item, "encoder", "region")
    if encoder_name not in ENCODERS:
        raise LayoutError(f"{where}: encoder '{encoder_name}' is unknown. {nearest(encoder_name, ENCODERS)}")
    kind = ENCODERS[encoder_name]
    parameters = item.get("parameters", {})
    _only(parameters, {field.name for field in fields(kind)}, f"{where}, parameters")
    try:
        encoder = kind(**parameters)
    except LayoutError as error:
        raise LayoutError(f"{where}: {error}") from None
    if "features" in item:
        features = tuple(item["features"])
    else:
        features = catalogue.of_region(name) if encoder_name == "heatmap" else ()
    for feature in features:
        if feature not in catalogue.position:
            raise LayoutError(
                f"{where}: feature '{feature}' is not in the catalogue. {nearest(feature, catalogue.position)}"
            )
    if reason := encoder.accepts(len(features)):
        raise LayoutError(f"{where}: {reason}; it has {len(features)}. Correct its features.")
    rows = _span(item, "rows", "region")
    holder = [section.name for section in sections if section.rows[0] <= rows[0] and rows[1] <= section.rows[1]]
    if not holder:
        raise LayoutError(f"{where}: rows {rows[0]} to {rows[1] - 1} lie in no single section. Move it into one.")
    return Region(
        name,
        holder[0],
        _need(item, "channel", "region"),
        rows,
        _span(item, "columns", "region"),
        encoder_name,
        encoder,
        features,
    )


def _check(layout: Layout) -> None:
    owner = np.zeros((layout.height, layout.width, len(layout.channels)), dtype=np.int32)
    drawn: dict[str, str] = {}
    for number, region in enumerate(layout.regions, start=1):
        where = f"region '{region.name}'"
        if region.channel not in layout.channels:
            raise LayoutError(
                f"{where}: channel '{region.channel}' is unknown. {nearest(region.channel, layout.channels)}"
            )
        if region.rows[1] > layout.height or region.columns[1] > layout.width:
            raise LayoutError(
                f"{where}: reaches row {region.rows[1] - 1}, column {region.columns[1] - 1}, beyond the canvas. "
                "Shrink it."
            )
        needed = layout.lookback * region.encoder.session_px
        if needed > region.width:
            raise LayoutError(
                f"{where}: {layout.lookback} sessions of {region.encoder.session_px} pixels need {needed} columns, "
                f"it has {region.width}. Show fewer sessions or make it wider."
            )
        if region.encoder_name == "heatmap":
            if region.height < len(region.features):
                raise LayoutError(
                    f"{where}: {len(region.features)} features need as many rows, it has {region.height}. "
                    "Make it higher."
                )
            for feature in region.features:
                if feature in drawn:
                    raise LayoutError(
                        f"feature '{feature}' stands in two heat maps, '{drawn[feature]}' and '{region.name}'. "
                        "Keep one."
                    )
                drawn[feature] = region.name
        place = (slice(*region.rows), slice(*region.columns), layout.channels.index(region.channel))
        if owner[place].any():
            other = layout.regions[int(owner[place].max()) - 1].name
            raise LayoutError(f"{where} overlaps region '{other}' in channel '{region.channel}'. Move one of them.")
        owner[place] = number
    for index, channel in enumerate(layout.channels):
        empty = np.argwhere(owner[:, :, index] == 0)
        if len(empty):
            row, column = empty[0]
            raise LayoutError(
                f"channel '{channel}' has a gap at row {row}, column {column}. Regions must tile every channel."
            )
