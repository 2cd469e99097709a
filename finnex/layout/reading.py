"""Layout files: every mistake of a file is found in one reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

from finnex.encoders import ENCODERS, Delta, Encoder
from finnex.errors import LayoutError, StoreCorrupt, nearest, repeated, shortened, shown
from finnex.files.text_file import parse_toml, read_text
from finnex.layout.catalogue import Catalogue, parse_catalogue
from finnex.layout.direction import bundled_text
from finnex.layout.items import MOST_VALUES, Item, Items
from finnex.layout.layout import BLENDS, Layout, Region, Section, hash_of_texts
from finnex.layout.tiling import Place, tiling_mistakes

BUNDLED = ("mega", "price_only", "sentiment_only", "candlestick", "chart")
CANVAS = {"name", "height", "width", "channels", "lookback_sessions", "every_feature"}
REGION = {
    "name", "channel", "rows", "columns", "encoder", "parameters", "features", "groups", "tables", "blend",
}  # fmt: skip


def load_catalogue(path: Path | None = None) -> Catalogue:
    """Return the bundled catalogue, which is what FinNeX computes, or one of your own.

    Raises
    ------
    LayoutError
        With every row that is wrong.
    """
    if path:
        return parse_catalogue(_text(path), str(path))
    return parse_catalogue(bundled_text())


def load_layout(
    name: str,
    lookback: int | None = None,
    catalogue_path: Path | None = None,
    *,
    blending: bool = False,
    cross_section: bool = False,
) -> Layout:
    """Return a bundled layout by name, or one from a `.toml` file.

    Parameters
    ----------
    name
        Name of a bundled layout, or the path of a file that ends in `.toml`.
    lookback
        Sessions shown, in place of the layout's own.
    catalogue_path
        A catalogue of your own; absent, the bundled one.
    blending
        Whether regions that name a blend are drawn with its weight.
    cross_section
        Whether the bundled catalogue has the ranks in the universe too.

    Returns
    -------
    Layout
        Canvas, sections, regions and catalogue.

    Raises
    ------
    LayoutError
        The name is unknown, or the file is wrong: with every mistake, as `parse_layout`.
    """
    bundled = resources.files("finnex.layout")
    own = name.endswith(".toml")
    if own:
        text = _text(Path(name))
    elif name in BUNDLED:
        text = (bundled / f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise LayoutError(f"layout '{name}' is unknown. {nearest(name, BUNDLED)} A file of your own ends in .toml.")
    catalogue = load_catalogue(catalogue_path)
    if cross_section and catalogue_path is None:
        rows = (bundled / "cross_section.csv").read_text(encoding="utf-8").split("\n", 1)[1]
        catalogue = parse_catalogue(catalogue.text.rstrip("\n") + "\n" + rows)
    return parse_layout(text, catalogue, lookback, blending=blending, file=name if own else "")


def stored_layout(attrs: Mapping[str, Any]) -> Layout:
    """Return the layout that a store was made with, from the store's attributes.

    Raises
    ------
    StoreCorrupt
        The texts of layout and catalogue are not those that the store's `layout_hash` was made from.
    """
    text, catalogue = str(attrs["layout_toml"]), str(attrs["catalogue_csv"])
    lookback, blending = int(attrs["lookback_sessions"]), bool(attrs["blending"])
    if hash_of_texts(text, catalogue, lookback, blending=blending) != attrs["layout_hash"]:
        raise StoreCorrupt(
            "the layout or the catalogue that the store keeps is damaged: its hash is not that of the store. "
            "`finnex repair` writes it again."
        )
    return parse_layout(text, parse_catalogue(catalogue), lookback, blending=blending)


def parse_layout(
    text: str, catalogue: Catalogue, lookback: int | None = None, *, blending: bool = False, file: str = ""
) -> Layout:
    """Read and check a layout.

    Parameters
    ----------
    text
        Text of a TOML file.
    catalogue
        Features that heat maps may show.
    lookback
        Sessions shown, in place of the layout's own.
    blending
        Whether regions that name a blend are drawn with its weight.
    file
        Named before every mistake.

    Returns
    -------
    Layout
        Canvas, sections, regions and catalogue.

    Raises
    ------
    LayoutError
        With every mistake of the text: not TOML, unknown words (with the nearest valid one), regions that overlap or
        leave a gap, a window wider than its region, a parameter out of range, a feature in two heat maps, or in none
        where the canvas says `every_feature = true`.
    """
    mistakes: list[str] = []
    layout = None
    try:
        document = parse_toml(text)
    except ValueError as error:
        mistakes.append(f"the layout {error}.")
    else:
        layout = _Reader(catalogue, mistakes).layout(document, text, lookback, blending)
    if layout is None or mistakes:
        raise LayoutError("\n".join(f"{file}: {mistake}" if file else mistake for mistake in mistakes))
    return layout


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except ValueError as error:
        raise LayoutError(f"{path} {error}. Give a bundled name or a file.") from None


class _Reader(Items):
    """Makes a layout of what can be read and notes every mistake."""

    def __init__(self, catalogue: Catalogue, mistakes: list[str]) -> None:
        super().__init__(mistakes)
        self.catalogue = catalogue
        self.groups = dict.fromkeys(entry.region for entry in catalogue.entries)
        self.tables = dict.fromkeys(entry.table for entry in catalogue.entries)

    def layout(self, document: Item, text: str, lookback: int | None, blending: bool) -> Layout | None:
        self.only(document, {"canvas", "section", "region"}, "layout")
        canvas = document.get("canvas", {})
        if not isinstance(canvas, dict):
            self.mistakes.append("canvas is no table. Write [canvas].")
            return None
        self.only(canvas, CANVAS, "canvas")
        name = self.need(canvas, "name", "canvas", str, "a word")
        height, width, window = (self.count(canvas, key) for key in ("height", "width", "lookback_sessions"))
        channels = self.words(canvas, "channels", "canvas", set())
        if not channels:
            self.mistakes.append('canvas: no channels are named. Write channels = ["red", "green", "blue"].')
        every = "every_feature" in canvas and self.need(canvas, "every_feature", "canvas", bool, "true or false")
        sections = [found for item in self.items(document, "section") if (found := self.section(item))]
        read = [self.region(item, sections, channels) for item in self.items(document, "region")]
        for word in repeated(place.name for place, _ in read):
            self.mistakes.append(f"two regions are called '{word}'. Rename one.")
        if height and width and height * width * len(channels) > MOST_VALUES:
            self.mistakes.append(f"canvas: has more than {MOST_VALUES} values over all channels. Make it smaller.")
        elif height and width and channels:
            self.mistakes += tiling_mistakes([place for place, _ in read], channels, sections, height, width)
        regions = [region for _, region in read if region]
        window = lookback or window
        for region in regions if window else ():
            self.fits(region, window or 0)
        self.once(regions, bool(every) and len(regions) == len(read))
        if not (name and height and width and window and channels):
            return None
        return Layout(
            name, height, width, channels, window, tuple(sections), tuple(regions), self.catalogue, text, blending
        )  # fmt: skip

    def section(self, item: Item) -> Section | None:
        where = f"section '{shortened(item.get('name', '?'), 40)}'"
        self.only(item, {"name", "rows"}, where)
        name, rows = self.need(item, "name", where, str, "a word"), self.span(item, "rows", where)
        return Section(name, rows) if name and rows else None

    def region(self, item: Item, sections: list[Section], channels: tuple[str, ...]) -> tuple[Place, Region | None]:
        """Return the place of a region, as far as it can be read, and the region where all of it can."""
        where = f"region '{shortened(item.get('name', '?'), 40)}'"
        self.only(item, REGION, where)
        name = self.need(item, "name", where, str, "a word")
        channel = self.need(item, "channel", where, str, "a channel")
        if channel is not None and channels and channel not in channels:
            self.mistakes.append(f"{where}: channel '{channel}' is unknown. {nearest(channel, channels)}")
            channel = None
        rows, columns = self.span(item, "rows", where), self.span(item, "columns", where)
        encoder_name, encoder = self.encoder(item, where)
        features = self.features(item, where, name, encoder_name)
        blend = item.get("blend", "")
        if blend and blend not in BLENDS:
            self.mistakes.append(f"{where}: blend '{blend}' is unknown. {nearest(str(blend), BLENDS)}")
        if encoder and features is not None and (reason := encoder.accepts(len(features))):
            self.mistakes.append(f"{where}: {reason}; it has {len(features)}. Correct its features.")
            features = None
        place = Place(name or "?", channel, rows, columns)
        if not (name and channel and rows and columns and encoder) or features is None:
            return place, None
        holder = [section.name for section in sections if section.rows[0] <= rows[0] and rows[1] <= section.rows[1]]
        if not holder and sections:
            self.mistakes.append(
                f"{where}: rows {rows[0]} to {rows[1] - 1} lie in no single section. Move it into one."
            )
        section = holder[0] if holder else ""
        return place, Region(name, section, channel, rows, columns, encoder_name, encoder, features, blend)

    def encoder(self, item: Item, where: str) -> tuple[str, Encoder | None]:
        name = self.need(item, "encoder", where, str, "an encoder")
        if name is None:
            return "", None
        if name not in ENCODERS:
            self.mistakes.append(f"{where}: encoder '{name}' is unknown. {nearest(name, ENCODERS)}")
            return name, None
        parameters = item.get("parameters", {})
        if not isinstance(parameters, dict):
            self.mistakes.append(f"{where}: parameters {shown(parameters)} are wrong. Write {{ name = value }}.")
            return name, None
        valid = {field.name for field in fields(ENCODERS[name])}
        self.only(parameters, valid, f"{where}, parameters")
        try:
            return name, ENCODERS[name](**{key: value for key, value in parameters.items() if key in valid})
        except LayoutError as error:
            self.mistakes.append(f"{where}: {error}")
            return name, None

    def features(self, item: Item, where: str, name: str | None, encoder_name: str) -> tuple[str, ...] | None:
        """Return a region's features: those it lists, those of its groups, or of the group of its own name."""
        before = len(self.mistakes)
        listed = self.words(item, "features", where, self.catalogue.position)
        groups = self.words(item, "groups", where, self.groups)
        tables = self.words(item, "tables", where, self.tables)
        if "features" in item:
            if "groups" in item or "tables" in item:
                self.mistakes.append(f"{where}: features are listed, so groups and tables say nothing. Keep one way.")
            return listed if len(self.mistakes) == before else None
        if "groups" not in item:
            if encoder_name != "heatmap":
                return ()
            if name not in self.groups:
                hint = nearest(str(name), self.groups)
                self.mistakes.append(f"{where}: the catalogue has no group of this name. {hint} Or list its features.")
            groups = (str(name),)
        if len(self.mistakes) > before:
            return None
        wanted = tables or tuple(self.tables)
        found = [entry for group in groups for entry in self.catalogue.entries if entry.region == group]
        return tuple(entry.name for entry in found if entry.table in wanted)

    def fits(self, region: Region, window: int) -> None:
        where = f"region '{region.name}'"
        needed = window * region.encoder.session_px
        if needed > region.width:
            self.mistakes.append(
                f"{where}: {window} sessions of {region.encoder.session_px} pixels need {needed} columns, it has "
                f"{region.width}. Show fewer sessions or make it wider."
            )
            return
        shown = set(region.encoder.origin(1, len(region.features), region.height).feature[:, 0].tolist())
        if len(shown) < len(region.features):
            self.mistakes.append(
                f"{where}: {len(region.features)} features need as many rows, it has {region.height}. Make it higher."
            )
        if isinstance(region.encoder, Delta) and region.encoder.lag_sessions >= window:
            self.mistakes.append(
                f"{where}: a change over {region.encoder.lag_sessions} sessions is never known in a window of "
                f"{window}. Take a shorter lag."
            )

    def once(self, regions: list[Region], every: bool) -> None:
        """Note features that are rows of two heat maps, or of none where the canvas asks for every feature."""
        drawn: dict[str, str] = {}
        for region in regions:
            for feature in region.features if region.encoder_name == "heatmap" else ():
                if feature in drawn:
                    self.mistakes.append(
                        f"feature '{feature}' appears in two heat maps, '{drawn[feature]}' and '{region.name}'. "
                        "Keep one."
                    )
                drawn[feature] = region.name
        for group in self.groups if every else ():
            missing = [name for name in self.catalogue.of_region(group) if name not in drawn]
            if missing:
                shown = ", ".join(f"'{name}'" for name in missing[:3]) + (", ..." if len(missing) > 3 else "")
                self.mistakes.append(
                    f"{len(missing)} of the catalogue's group '{group}' appear in no heat map: {shown}. "
                    "Give them a region, or take every_feature from the canvas."
                )
