"""Stage 1: raw bars become bars of the one schema; nothing is judged here."""

from alphamill.ingestion.normalise import normalise

__all__ = ["normalise"]
