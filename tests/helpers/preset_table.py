"""The table of presets in `docs/presets.md`. Run as a module, it prints its rows."""

from __future__ import annotations

from finnex.data.preset import bundled

HEADER = "| preset | tables | files | how they are read | source |"


def table_of_presets() -> list[str]:
    """Return the table's rows as Markdown."""
    return [
        f"| `{name}` | {', '.join(whole.tables())} | {whole.title} | {whole.note} | {_linked(whole.source)} |"
        for name, whole in bundled().items()
    ]


def _linked(source: str) -> str:
    return f"[{source.split('/')[2]}]({source})" if source.startswith("https://") else f"`{source}`"


if __name__ == "__main__":
    print("\n".join(table_of_presets()))
