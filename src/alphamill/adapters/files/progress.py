"""Progress over a file: the only channel that a step in another process shares with the terminal."""

import os
from pathlib import Path

from alphamill import environment
from alphamill.monitoring.progress import Progress


def report_progress(stage: str, done: float, total: float, message: str = "") -> None:
    """Append one line to the file named by `environment.PROGRESS_FILE`; without that variable nothing happens.

    Raises
    ------
    ValueError
        Unknown stage, or `done` outside [0, total].
    """
    line = Progress(stage, done, total, message).to_line()
    if path := environment.read(environment.PROGRESS_FILE):
        # One write to a file opened for appending: lines of several processes do not mix.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


class ProgressTail:
    """Reads what was appended since the last call; a line still being written waits for the next."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def read(self) -> list[Progress]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                complete, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self._offset += len(complete) + len(newline)
        return [Progress.from_line(line) for line in complete.decode().splitlines() if line]
