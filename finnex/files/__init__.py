"""Files that FinNeX writes for people: whole or absent, never through a link, never over what it did not write."""
