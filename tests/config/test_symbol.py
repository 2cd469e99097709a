"""A symbol names a folder of the store, or is refused with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnex.config import Config, parse_config
from finnex.config.symbol import checked_symbol
from finnex.errors import ConfigError

REAL = ("AAPL", "aapl", "BRK.B", "BRK-B", "^GSPC", "0700.HK", "EURUSD=X", "ES=F", "ES1!", "BTC-USD", "005930.KS", "T",
        "M&M.NS", "\u8305\u53f0", "CON", "PRN", "COM.PA", "BP.", "BP.L")  # fmt: skip
ODD = ("zarr.json", "ZARR.JSON", ".finnex", ".", "..", "A$^$", "A/B", "A\\B", "A B", "A\tB", "A\nB", "A\0B", "[/b]x",
       "A*", "A?", "-A", "=A", "x" * 300, "", "\uff21\uff21PL", "A\u200bB", "A\u202eB", "~A", "A%B")  # fmt: skip


def config(tmp_path: Path, *symbols: str) -> Config:
    (tmp_path / "prices.csv").touch()
    document = {"inputs": {"prices": "prices.csv"}, "symbols": list(symbols), "store": {"path": "a.zarr"}}
    return parse_config(document, tmp_path / "finnex.toml")


@pytest.mark.parametrize("symbol", REAL)
def test_symbols_of_real_markets_are_taken(tmp_path: Path, symbol: str) -> None:
    assert config(tmp_path, symbol).symbols == (symbol,)


@pytest.mark.parametrize("symbol", ODD)
def test_what_cannot_name_a_folder_is_refused_with_the_remedy(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a symbol: .*\. Use letters, digits") as refused:
        config(tmp_path, "AAPL", symbol)
    assert len(str(refused.value)) < 1000
    assert str(refused.value).isprintable() or "\n" in str(refused.value)


def test_names_that_differ_in_case_only_are_one_folder_on_some_disks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'AAPL' and 'aapl' differ in case only"):
        config(tmp_path, "AAPL", "MSFT", "aapl")


@given(st.text(max_size=60))
def test_a_symbol_that_is_taken_is_one_folder_name(text: str) -> None:
    try:
        symbol = checked_symbol(text)
    except ValueError:
        return
    assert Path(symbol).name == symbol
    assert Path("store", symbol).parts == ("store", symbol)
    assert symbol.isprintable()
    assert not set(symbol) & set(" /\\:*?\"<>|'[]{}$%~#") - {":"}
