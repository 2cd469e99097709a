"""What a store was made with, in the attributes of its root, and a second copy of them that carries a checksum.

Nothing else in a store holds the layout, the catalogue and the label settings. So a repair takes them from the copy,
never from what a run is configured with at that moment.
"""

from __future__ import annotations

from typing import Any

from finnex.errors import LONGEST_SENTENCE, StoreCorrupt, StoreError, StoreMismatch, shortened
from finnex.layout import drawn_text, has_directions
from finnex.store.keys import ATTRIBUTES
from finnex.store.place import Place
from finnex.store.record import RECORD
from finnex.store.sealed import seal, unseal
from finnex.store.store_template import COMPACTED_FORMAT, FORMAT, READABLE, StoreTemplate
from finnex.store.upgrade import EARLIER_FORMATS
from finnex.store.zarr_metadata import FILE, read_document, write_document

Attributes = dict[str, Any]
TYPES: dict[str, type] = {
    "finnex_format": int, "layout_name": str, "layout_hash": str, "layout_toml": str, "catalogue_csv": str,
    "lookback_sessions": int, "blending": bool, "exchange": str, "label_settings": dict, "synthetic_tables": list,
}  # fmt: skip
MUST_AGREE = ("layout_hash", "exchange", "label_settings", "synthetic_tables")
"""What a store was made with and a run must have too."""
FORMAT_NAME = "finnex_format"
CATALOGUE = "catalogue_csv"
HASHED = ("layout_name", "layout_toml", CATALOGUE, "lookback_sessions", "blending")
"""What the hash of the layout is made of, and its name: equal where the hash is, unless it was damaged."""


def attributes_of(template: StoreTemplate) -> Attributes:
    """Return the attributes of a store's root."""
    return {
        "finnex_format": FORMAT,
        "layout_name": template.layout_name,
        "layout_hash": template.layout_hash,
        "layout_toml": template.layout_toml,
        "catalogue_csv": template.catalogue_csv,
        "lookback_sessions": template.lookback_sessions,
        "blending": template.blending,
        "exchange": template.exchange,
        "label_settings": dict(template.label_settings),
        "synthetic_tables": list(template.synthetic_tables),
    }


def well_formed(attributes: Attributes) -> Attributes:
    """Return those attributes that have the type that they must have."""
    return {name: attributes[name] for name, kind in TYPES.items() if type(attributes.get(name)) is kind}


def differs(name: str, one: Any, other: Any) -> bool:
    """Return whether two values of an attribute differ by more than `renew_catalogue` and `raise_format` change."""
    if name == FORMAT_NAME and one in READABLE and other in READABLE:
        return False
    if name == CATALOGUE and isinstance(one, str) and isinstance(other, str):
        return one != other and drawn_text(one) != drawn_text(other)
    return bool(one != other)


def read_attributes(place: Place) -> Attributes:
    """Return what a store was made with. Call where there is a store.

    Directions of features are those of the copy, which carries a checksum and which `renew_catalogue` writes first.

    Raises
    ------
    StoreError
        Another program made it, or a later version of FinNeX.
    StoreCorrupt
        The attributes are damaged: they lack what a store needs, or differ from their copy.
    """
    found: Attributes = (read_document(place) or {}).get("attributes", {})
    check_format(place, found)
    known = well_formed(found)
    if lacking := [name for name in TYPES if name not in known]:
        raise _damaged(place, f"its attribute {lacking[0]} is gone or of another type")
    copy = readable_copy(place)
    if copy is None:
        return found
    if different := [name for name in TYPES if differs(name, copy[name], known[name])]:
        raise _damaged(place, f"its attribute {different[0]} is not what was written")
    return {**found, CATALOGUE: copy[CATALOGUE], FORMAT_NAME: max(found[FORMAT_NAME], copy[FORMAT_NAME])}


def check_format(place: Place, attributes: Attributes) -> None:
    """Make sure that this version of FinNeX reads a store, or could if it were not damaged.

    Raises
    ------
    StoreError
        Another program made it, or a later version of FinNeX.
    StoreCorrupt
        The format is gone from the attributes.
    """
    version = attributes.get("finnex_format")
    if type(version) is int and version in {*READABLE, *EARLIER_FORMATS}:
        return
    if type(version) is int and version > max(READABLE):
        raise StoreError(
            f"{place.address} was made by a later version of FinNeX (format {version}). Install that version."
        )
    if place.get(RECORD, 0, 1) is not None or place.get(ATTRIBUTES, 0, 1) is not None:
        raise _damaged(place, "its attribute finnex_format is gone or of another type")
    raise StoreError(f"{place.address} is a Zarr group that FinNeX did not make. Choose another [store] path.")


def _damaged(place: Place, why: str) -> StoreCorrupt:
    return StoreCorrupt(f"{place.address}/{FILE} is damaged ({why}). `finnex repair` makes it anew.")


def read_copy(place: Place) -> Attributes | None:
    """Return the copy of the attributes, None where there is none: a store of an earlier version.

    Raises
    ------
    StoreCorrupt
        It is damaged.
    """
    found = place.get(ATTRIBUTES)
    if found is None:
        return None
    try:
        copy = well_formed(unseal(found))
        if len(copy) < len(TYPES):
            raise ValueError
    except (ValueError, RecursionError):
        raise StoreCorrupt(f"{place.address}/{ATTRIBUTES} is damaged. `finnex repair` makes it anew.") from None
    return copy


def readable_copy(place: Place) -> Attributes | None:
    """Return the copy of the attributes, None where it is gone or damaged."""
    try:
        return read_copy(place)
    except StoreCorrupt:
        return None


def write_copy(place: Place, attributes: Attributes) -> None:
    """Write the copy of the attributes where it is not there already; it survives a power cut when this returns."""
    if readable_copy(place) != (copy := well_formed(attributes)):
        place.put(ATTRIBUTES, seal(copy))
        place.sync()


def renew_catalogue(place: Place, attributes: Attributes, catalogue: str) -> Attributes:
    """Make the directions of a store's catalogue those of a run, and return the attributes.

    Images stay: no direction is drawn. After a crash between the two writes the copy is newer than the root, and the
    copy counts. Stores of an earlier version have no copy until this writes it. A text without directions replaces none
    that has them.

    Parameters
    ----------
    catalogue
        A text that draws what the store's draws.
    """
    if has_directions(attributes[CATALOGUE]) and not has_directions(catalogue):
        catalogue = attributes[CATALOGUE]
    renewed = {**attributes, CATALOGUE: catalogue}
    write_copy(place, renewed)
    root = read_document(place) or {}
    if root["attributes"][CATALOGUE] != catalogue:
        write_document(place, "", {**root, "attributes": {**root["attributes"], CATALOGUE: catalogue}})
        place.sync()
    return renewed


def raise_format(place: Place, attributes: Attributes) -> Attributes:
    """Keep earlier versions of FinNeX from a store that is compacted, and return its attributes.

    The copy is written first: between the two writes earlier versions find a store whose attributes differ.
    """
    raised = {**attributes, FORMAT_NAME: COMPACTED_FORMAT}
    root = read_document(place) or {}
    write_copy(place, raised)
    if root["attributes"][FORMAT_NAME] != COMPACTED_FORMAT:
        write_document(place, "", {**root, "attributes": {**root["attributes"], FORMAT_NAME: COMPACTED_FORMAT}})
        place.sync()
    return raised


def disagreement(address: str, found: Attributes, template: StoreTemplate) -> StoreMismatch | None:
    """Return the refusal of a run that differs from what a store was made with, None where it does not.

    Parameters
    ----------
    found
        Attributes, or those of them that are known.
    """
    wanted = attributes_of(template)
    for key in MUST_AGREE if "layout_hash" in found else (*MUST_AGREE, *HASHED):
        if key in found and differs(key, found[key], wanted[key]):
            stored, given = (shortened(repr(one), LONGEST_SENTENCE) for one in (found[key], wanted[key]))
            return StoreMismatch(
                f"{address} was made with {key} {stored}, this run has {given}. "
                "Set another [store] path, or put the earlier setting back."
            )
    return None


def check_agreement(place: Place, template: StoreTemplate) -> None:
    """Make sure that a store was made with what a run has.

    Raises
    ------
    StoreMismatch
        It was made for another layout, exchange, label settings or synthetic tables.
    StoreCorrupt
        The hash of the layout agrees, and the text that it was made from does not.
    """
    found = read_attributes(place)
    if (refusal := disagreement(place.address, found, template)) is not None:
        raise refusal
    wanted = attributes_of(template)
    if altered := [name for name in HASHED if differs(name, found[name], wanted[name])]:
        raise _damaged(place, f"its attribute {altered[0]} is not what the hash of the layout was made from")
