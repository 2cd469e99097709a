"""FinNeX: a company's multi-modal financial data as images that deep networks can read.

Read first: `ARCHITECTURE.md` for the flow, `finnex.pipeline` for the path a trading session takes.
"""

__version__ = "0.1.0"
