"""Keys of a store that lie beside its groups, where Zarr's readers do not look."""

DRAFTS = ".finnex/drafts"
"""Folder of images on their way into the store, and of what workers need meanwhile."""
JOURNAL = ".finnex/journal.json"
"""The change that a writer is making."""
ATTRIBUTES = ".finnex/attributes.json"
"""The copy of what a store was made with."""
