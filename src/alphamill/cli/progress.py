"""Shows the stages of a job while they run: live bars on a terminal, plain lines elsewhere."""

import threading
import time
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as LiveProgress

from alphamill.bootstrap import progress_tail
from alphamill.monitoring.progress import STAGES, Progress

POLL_SECS = 0.1


class StageProgress:
    """Follows a progress file from a thread; use it as a context manager around the job.

    Parameters
    ----------
    path
        The file named by `alphamill.environment.PROGRESS_FILE` in the environment of the steps.
    stages
        Those to show, in order; progress of others is not shown.
    """

    def __init__(self, path: Path, *, stages: tuple[str, ...] = STAGES, console: Console | None = None) -> None:
        self.console = console or Console()
        self.seconds: dict[str, float] = {}
        self._stages = stages
        self._tail = progress_tail(path)
        self._started: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="stage-progress", daemon=True)
        self._live: LiveProgress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "StageProgress":
        if self.console.is_terminal:
            columns = (
                SpinnerColumn(finished_text="[green]\N{CHECK MARK}"),
                TextColumn("{task.description:<11}"),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                TextColumn("[dim]{task.fields[message]}"),
            )
            self._live = LiveProgress(*columns, console=self.console)
            for stage in self._stages:
                self._tasks[stage] = self._live.add_task(stage, total=None, start=False, message="")
            self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        try:
            self._thread.join()
            self._show_new()
        finally:  # a second Ctrl-C must not leave the terminal without its cursor
            if self._live is not None:
                self._live.stop()

    def _follow(self) -> None:
        while not self._stop.wait(POLL_SECS):
            self._show_new()

    def _show_new(self) -> None:
        for progress in self._tail.read():
            if progress.stage in self._stages:
                self._show(progress)

    def _show(self, progress: Progress) -> None:
        now = time.monotonic()
        first = progress.stage not in self._started
        started = self._started.setdefault(progress.stage, now)
        ended = progress.finished and progress.stage not in self.seconds
        if ended:
            self.seconds[progress.stage] = now - started
        if self._live is not None:
            task = self._tasks[progress.stage]
            if first:
                self._live.start_task(task)
            self._live.update(task, completed=progress.done, total=progress.total, message=progress.message)
        elif first or ended:
            state = f"done in {self.seconds[progress.stage]:.1f} s" if ended else "started"
            self.console.print(f"{progress.stage:<11} {state}  {progress.message}".rstrip(), markup=False)
