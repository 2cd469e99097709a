"""Small JSON files that carry their own checksum, so that damage is noticed and never read as content."""

from __future__ import annotations

import json
import zlib
from typing import Any


def seal(content: dict[str, Any]) -> bytes:
    """Return content as JSON with its crc32 before it."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f'{{"crc32":{zlib.crc32(text.encode())},"content":{text}}}\n'.encode()


def unseal(data: bytes) -> dict[str, Any]:
    """Return the sealed content.

    Raises
    ------
    ValueError
        The bytes are damaged.
    """
    found = json.loads(data)
    if not isinstance(found, dict) or set(found) != {"crc32", "content"} or not isinstance(found["content"], dict):
        raise ValueError("it is no sealed record")
    if seal(found["content"]) != data:
        raise ValueError("its bytes do not match their checksum")
    content: dict[str, Any] = found["content"]
    return content
