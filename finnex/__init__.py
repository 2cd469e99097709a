"""FinNeX: a company's multi-modal financial data as images that deep networks can read.

Read first: `ARCHITECTURE.md` for the flow, `finnex.build` for the path a trading session takes.
"""

__version__ = "0.1.0"
