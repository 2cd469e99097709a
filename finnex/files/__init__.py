"""Files that FinNeX writes for users: whole or absent, never through a link, never over files of others.

And small files that users write for FinNeX, read with limits.
"""
