"""Which features the registry declares, noted beside it: reading the registry itself imports Feast, for seconds."""

import contextlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from alphamill.errors import StoreUnavailable


class _Note(BaseModel):
    """Names, and the state of the registry file that they were read from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modified_ns: int
    size_bytes: int
    features: tuple[str, ...]


class DeclaredNotes:
    """Names of declared features, good for exactly one state of Feast's registry file.

    Whoever changes the registry without us, Feast's command line for instance, makes the note void, and the registry
    is read again.
    """

    def __init__(self, registry: Path) -> None:
        self._registry = registry
        self._file = registry.with_name("declared.json")

    def read(self) -> tuple[str, ...]:
        """The names; empty without a note, or with one of another state."""
        with contextlib.suppress(FileNotFoundError, ValidationError):
            note = _Note.model_validate_json(self._file.read_bytes())
            if (note.modified_ns, note.size_bytes) == self._state():
                return note.features
        return ()

    def write(self, features: tuple[str, ...]) -> None:
        """Note the names that the registry declares now; a registry that is no file has no note."""
        with contextlib.suppress(FileNotFoundError):
            modified_ns, size_bytes = self._state()
            note = _Note(modified_ns=modified_ns, size_bytes=size_bytes, features=features)
            scratch = self._file.with_suffix(".tmp")
            try:
                scratch.write_text(note.model_dump_json())
                scratch.replace(self._file)
            except OSError as error:
                raise StoreUnavailable(
                    f"cannot write {self._file}: {error}.", field="data_dir", remedy="Check disk space and permissions."
                ) from error

    def _state(self) -> tuple[int, int]:
        status = self._registry.stat()
        return status.st_mtime_ns, status.st_size
