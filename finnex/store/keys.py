"""Keys of a store outside its groups, where Zarr's readers do not look."""

DRAFTS = ".finnex/drafts"
"""Folder of drafts, and of the rows that workers draw them from."""
JOURNAL = ".finnex/journal.json"
"""The change that a writer is making."""
ATTRIBUTES = ".finnex/attributes.json"
"""The copy of what a store was made with."""
