"""Frozen types shared by all stages. No I/O here."""
