"""Garbage collections in a process that must answer quickly."""

import gc


def keep_what_is_there() -> None:
    """Leave all that the start has loaded out of garbage collections: half a million objects of libraries.

    Each full collection would look at them all, for 100 to 400 ms, and some come between a bar and its orders.
    """
    gc.collect()
    gc.freeze()
