"""Source and documents use the field's standard terms: words of an idiom that was removed do not come back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORDS = (
    "nobody", "somebody", "whoever", "anybody", "everybody", "told", "tell", "tells", "stands", "stand", "beside",
    "by itself", "at once", "go on", "goes on", "whatever",
)  # fmt: skip
MOST = 10
ALLOWED = {("finnex/cli/repair.py", "beside"): "a key of the JSON that `finnex repair --json` prints"}
"""(file, word) with the reason; these count too."""
_GAP = r"(?:\s|#)+"  # a phrase may be broken over two lines of a docstring or comment
_WORDS = re.compile(r"\b(?:" + "|".join(_GAP.join(word.split()) for word in WORDS) + r")\b", re.IGNORECASE)


def listed_words(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and word of every listed word in a text; names that contain one, such as `_told`, are no words."""
    for found in _WORDS.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, " ".join(re.split(_GAP, found[0])).lower()


def test_a_listed_word_is_found_with_its_line_also_where_a_phrase_is_broken() -> None:
    text = "first\nIt Stands here\n# a build does it by\n# itself; _told, standard, retell\n"
    assert list(listed_words(text)) == [(2, "stands"), (3, "by itself")]


def test_source_and_documents_say_it_in_plain_technical_english() -> None:
    files = sorted(path for package in ("finnex", "flows") for path in (ROOT / package).rglob("*.py"))
    files += sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
    hits = [(str(path.relative_to(ROOT)), *hit) for path in files for hit in listed_words(path.read_text())]
    assert {(file, word) for file, _, word in hits} >= ALLOWED.keys(), "an entry of ALLOWED is no longer needed"
    left = [f"{file}:{line}: {word}" for file, line, word in hits if (file, word) not in ALLOWED]
    assert len(hits) <= MOST, f"{len(hits)} listed words, at most {MOST}; reword:\n" + "\n".join(left)
