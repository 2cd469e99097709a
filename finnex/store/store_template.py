"""The shape of a store: its constants, what all groups have in common, and how one symbol's group is laid out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, TransposeCodec
from zarr.storage import MemoryStore

from finnex.data.calendar import Days
from finnex.store.chunks import COMPLETE, IMAGE
from finnex.store.states import EMPTY, STORED_STATES

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer

FORMAT = 4
COMPACTED_FORMAT = 5
"""Of a store that has or had compacted years: earlier versions of FinNeX would take their images for lost."""
READABLE = (FORMAT, COMPACTED_FORMAT)
LABEL_WORDS = {-1: "unknown", 0: "sell", 1: "hold", 2: "buy"}
CLASS_WORDS = tuple(LABEL_WORDS[code] for code in (0, 1, 2))
RELATIVE = "market_relative"
"""Kind of labels whose return is one less another."""
DATE_CHUNK = 65_536  # one chunk for two centuries: small arrays are rewritten whole, by one process
FEATURE_ROWS = 512  # sessions in one chunk of the feature tables: a night rewrites one
PLANES_FIRST = (0, 3, 1, 2)
"""Order of an image's dimensions inside its chunk: channels first. Neighbouring bytes are then alike, so a chunk takes
less than half the space and time of (y, x, channel), and a network finds the order it wants. Zarr turns it back."""
UNITS: dict[str, Any] = {"units": "days since 1970-01-01", "calendar": "proleptic_gregorian"}
NOT_A_DAY = np.iinfo(np.int64).min
FEATURE_TABLES = (
    ("feature_normalized", "float32", "brightness in [0.02, 1]"),
    ("feature_original", "float64", "value in the unit of the catalogue"),
    ("feature_location", "float64", "original = location + scale * x, x from low to high of the catalogue"),
    ("feature_scale", "float64", "see feature_location"),
)
"""Per date and feature: what was drawn, what it was drawn from, and what turns one into the other."""
FIXED = ("date", "horizon", "region", "feature", "channel", "class")
"""Coordinates: all other arrays of a group have `date` as their first dimension."""
WORDS = ("region", "feature", "channel", "class")
"""Arrays of words; all others are of numbers."""


STATUS_FLAGS: dict[str, Any] = {
    "flag_values": list(STORED_STATES),
    "flag_meanings": " ".join(STORED_STATES.values()),
}
"""What plain readers are shown of the codes of `status`, by the CF conventions."""


TAG_ATTRIBUTES: dict[str, Any] = {
    "long_name": "version of the image's chunk: 64 bits of its size and time of modification, in a bucket its ETag, "
    "XOR image_crc",
}


@dataclass(frozen=True)
class StoreTemplate:
    """What every group of a store has in common; a store refuses a template that differs."""

    layout_name: str
    layout_hash: str
    layout_toml: str
    catalogue_csv: str
    lookback_sessions: int
    shape: tuple[int, int, int]  # height, width, channel
    channels: tuple[str, ...]
    regions: tuple[str, ...]
    features: tuple[str, ...]
    horizons: tuple[int, ...]
    label_kinds: tuple[str, ...]
    label_settings: Mapping[str, Any]
    exchange: str
    synthetic_tables: tuple[str, ...] = ()
    blending: bool = False


def _add(
    group: zarr.Group,
    name: str,
    dims: Sequence[str],
    shape: Sequence[int],
    chunks: Sequence[int],
    dtype: Any,
    fill: Any,
    filters: Sequence[TransposeCodec] = (),
    **attrs: Any,
) -> zarr.Array[Any]:
    array = group.create_array(
        name, shape=tuple(shape), chunks=tuple(chunks), dtype=dtype, fill_value=fill,
        dimension_names=list(dims), attributes=attrs, filters=list(filters), overwrite=True,
        # An image's bytes are compared with `image_crc`; the others carry their own checksum.
        compressors=[BloscCodec(cname="lz4", clevel=3, shuffle="shuffle"), *([] if filters else [Crc32cCodec()])],
        serializer=BytesCodec(),
        # "c.7.0.0.0", not "c/7/0/0/0": three folders less to make for every image.
        chunk_key_encoding={"name": "default", "separator": "."},
        config={"write_empty_chunks": True},
    )  # fmt: skip
    if name != IMAGE:
        array[...] = fill
    return array


def lay_out_labels(group: zarr.Group, kinds: Iterable[str], sessions: int, horizons: int) -> None:
    """Create the arrays of some kinds of labels in a company's group, every chunk of them, all unknown.

    Parameters
    ----------
    group
        The company's.
    kinds
        Kinds of labels.
    sessions, horizons
        Lengths of the axes.
    """
    label_flags: dict[str, Any] = {"flag_values": list(LABEL_WORDS), "flag_meanings": " ".join(LABEL_WORDS.values())}
    add = partial(_add, group)
    dims, shape, chunks = ("date", "horizon"), (sessions, horizons), (DATE_CHUNK, horizons)
    for kind in kinds:
        add(f"label_{kind}", dims, shape, chunks, "int8", -1, **label_flags)
        meaning = "simple return, entry at the next open" + ("" if kind != RELATIVE else ", less the section's mean")
        add(f"return_{kind}", dims, shape, chunks, "float32", float("nan"), units="1", long_name=meaning)
        add(f"label_end_{kind}", dims, shape, chunks, "int64", NOT_A_DAY, _FillValue=NOT_A_DAY, **UNITS)


def files_of_company(days: Days, template: StoreTemplate) -> dict[str, bytes]:
    """Return the files of a company: every array, its calendar ahead, every chunk of the small ones, no image yet.

    Readers find it when its metadata is held by its own file and the root record names it.

    Parameters
    ----------
    days
        (sessions,) `datetime64[D]`: the calendar, ascending.
    template
        Shape of the images, and the names of regions, features and horizons.

    Returns
    -------
    dict
        Bytes by key below the company. Its own `zarr.json` names no symbol.
    """
    files: dict[str, Buffer] = {}
    store = MemoryStore(files)
    group = zarr.create_group(store, attributes={"synthetic_tables": list(template.synthetic_tables), COMPLETE: True})
    n, regions, features = len(days), len(template.regions), len(template.features)
    horizons = len(template.horizons)

    add = partial(_add, group)
    per_date = (DATE_CHUNK,)
    height, width, channels = template.shape
    add(
        "image",
        ("date", "y", "x", "channel"),
        (n, *template.shape),
        (1, height, width, channels),
        "float32",
        float("nan"),
        filters=[TransposeCodec(order=PLANES_FIRST)],
        valid_range=[0.0, 1.0],
        not_known=0.0,
    )
    add("status", ("date",), (n,), per_date, "int8", EMPTY, **STATUS_FLAGS)
    add("input_hash", ("date",), (n,), per_date, "uint64", 0)
    add("image_crc", ("date",), (n,), per_date, "uint32", 0)
    add("image_tag", ("date",), (n,), per_date, "uint64", 0, **TAG_ATTRIBUTES)
    add(
        "rendered_at",
        ("date",),
        (n,),
        per_date,
        "int64",
        0,
        units="seconds since 1970-01-01",
        calendar="proleptic_gregorian",
    )
    add(
        "coverage",
        ("date", "region"),
        (n, regions),
        (DATE_CHUNK, regions),
        "float32",
        float("nan"),
        long_name="share of a region's pixels that are known",
    )
    add(
        "region_weight",
        ("date", "region"),
        (n, regions),
        (DATE_CHUNK, regions),
        "float32",
        float("nan"),
        long_name="drawn = neutral + weight * (value - neutral)",
    )
    for name, dtype, meaning in FEATURE_TABLES:
        add(name, ("date", "feature"), (n, features), (FEATURE_ROWS, features), dtype, float("nan"), long_name=meaning)
    lay_out_labels(group, template.label_kinds, n, horizons)
    add(
        "prediction", ("date", "class"), (n, len(CLASS_WORDS)), (DATE_CHUNK, len(CLASS_WORDS)), "float32", float("nan"),
        long_name="probabilities that the champion gave the classes, made once and kept",
    )  # fmt: skip
    add("prediction_version", ("date",), (n,), per_date, "int32", 0, long_name="of the registered model; 0 is none")
    add("predicted_at", ("date",), (n,), per_date, "int64", 0, units="seconds since 1970-01-01",
        calendar="proleptic_gregorian")  # fmt: skip
    add("horizon", ("horizon",), (horizons,), (horizons,), "int64", 0, units="sessions")[...] = np.array(
        template.horizons
    )
    text = np.dtypes.StringDType()
    for name, words in (
        ("region", template.regions),
        ("feature", template.features),
        ("channel", template.channels),
        ("class", CLASS_WORDS),
    ):
        group.create_array(
            name, shape=(len(words),), chunks=(len(words),), dtype=text, dimension_names=[name],
            compressors=[Crc32cCodec()],
        )[...] = np.array(words, dtype=text)  # fmt: skip
    dates = add("date", ("date",), (n,), per_date, "int64", NOT_A_DAY, _FillValue=NOT_A_DAY, **UNITS)
    dates[...] = days.astype("int64")
    return {key: data.to_bytes() for key, data in files.items()}
