"""What an image is, as data: a catalogue of features and a layout of regions."""

from __future__ import annotations

from finnex.layout.catalogue import Catalogue, CatalogueEntry, parse_catalogue
from finnex.layout.direction import drawn_text, has_directions
from finnex.layout.layout import Layout, Region, Section
from finnex.layout.reading import BUNDLED, load_catalogue, load_layout, parse_layout, stored_layout

__all__ = [
    "BUNDLED",
    "Catalogue",
    "CatalogueEntry",
    "Layout",
    "Region",
    "Section",
    "drawn_text",
    "has_directions",
    "load_catalogue",
    "load_layout",
    "parse_catalogue",
    "parse_layout",
    "stored_layout",
]
