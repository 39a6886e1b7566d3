"""Where the time of a call goes, stage by stage, without a profiler's price."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any


class Stopwatch:
    """Seconds per stage. A stage inside another one counts for itself only."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._open = threading.local()

    def wrap(self, owner: Any, name: str, stage: str, ended: Callable[[], object] = lambda: None) -> None:
        """Count the time in `owner.name`, a function of an object or a module, for `stage`; then call `ended`."""
        call = getattr(owner, name)

        def timed(*args: Any, **options: Any) -> Any:
            inner: list[float] = self._open.__dict__.setdefault("inner", [])
            inner.append(0.0)
            start = time.perf_counter()
            try:
                return call(*args, **options)
            finally:
                took = time.perf_counter() - start
                self.spent[stage] += took - inner.pop()
                if inner:
                    inner[-1] += took
                ended()

        setattr(owner, name, timed)
