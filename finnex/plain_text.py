"""Text of users, and of files and servers, as it may reach a terminal: what a terminal obeys is made visible."""

from __future__ import annotations

import unicodedata

KEPT = "\n\t"
OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's general categories: control, format (direction, zero width), surrogate, line and paragraph separator."""


def plain_text(text: str) -> str:
    r"""Return `text` with the characters that a terminal obeys as escape sequences of Python: ESC becomes ``\x1b``.

    Line feed and tab are kept: messages of several lines have them. Printable text comes back unchanged.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(one) if _is_obeyed(one) else one for one in text)


def _is_obeyed(character: str) -> bool:
    return character not in KEPT and unicodedata.category(character) in OBEYED


def _visible(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
