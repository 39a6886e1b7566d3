"""Alphamill: market data in, orders out; the code that backtests is the code that trades."""

__version__ = "0.1.0"
