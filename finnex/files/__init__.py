"""Files that FinNeX writes for people: whole or absent, never through a link, never over what it did not write.

And small files that people write for FinNeX, read with limits.
"""
