"""Online rows in Redis, in the layout that Feast documents, without an object of Feast for every value.

Layout (Feast's "online store format", entity keys of version 3): one hash per entity. Its key is the serialized entity
and the project; a field is the murmur3 hash of ``view:feature`` and holds a ``Value`` message; ``_ts:view`` holds a
``Timestamp`` message. Feast's own client reads what is written here, and the other way round.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from alphamill.errors import StoreUnavailable

Floats = npt.NDArray[np.float64]
Micros = npt.NDArray[np.int64]

_JOIN_KEY: Final = b"symbol"
_STRING: Final = 2  # ValueType.STRING
#: Tag of `Value.double_val`: field 5, eight bytes. A null is an empty message, or no field at all.
_DOUBLE: Final = 0x29
_VALUE: Final = np.dtype([("tag", "u1"), ("number", "<f8")])
_NULL: Final = struct.pack("<Bd", _DOUBLE, float("nan"))


@dataclass(frozen=True, slots=True)
class OnlineRows:
    """Rows of n symbols: `ts` [n] in microseconds since the epoch, 0 without a row; `values` [n, k], NaN for null."""

    ts: Micros
    values: Floats


class FeastRedis:
    """Reads and writes rows of one feature view whose entity is the symbol.

    Parameters
    ----------
    redis_url
        ``redis://[user:password@]host:port/db``; ``rediss`` for TLS.
    project, view
        As Feast's registry has them.
    timeout_secs
        Limit for connecting and for each answer; there is no second try.
    """

    def __init__(self, redis_url: str, project: str, view: str, *, timeout_secs: float) -> None:
        self._url = redis_url
        self._project = project.encode()
        self._view = view
        self._timeout_secs = timeout_secs
        self._ts_field = f"_ts:{view}".encode()
        self._key = cache(self._entity_key)
        self._field = cache(self._feature_field)

    def read(self, symbols: Sequence[str], features: Sequence[str]) -> OnlineRows:
        """Rows in the order of `symbols`, in one round trip.

        Raises
        ------
        redis.exceptions.RedisError
            Redis does not answer.
        StoreUnavailable
            A value is no double: something else wrote it.
        """
        fields = [*map(self._field, features), self._ts_field]
        with self._client.pipeline(transaction=False) as pipe:
            for symbol in symbols:
                pipe.execute_command("HMGET", self._key(symbol), *fields)
            answers = pipe.execute()
        times = {answer[-1]: 0 for answer in answers}
        for message in times:
            times[message] = _micros(message)
        ts = np.array([times[answer[-1]] for answer in answers], dtype=np.int64)
        blob = b"".join([value or _NULL for answer in answers for value in answer[:-1]])
        return OnlineRows(ts, self._numbers(blob, len(symbols), len(features)))

    def write(self, symbols: Sequence[str], ts: Micros, features: Sequence[str], values: Floats) -> None:
        """Replace the rows of these symbols, in one round trip; `ts` [n] and `values` [n, k] as in `OnlineRows`.

        Raises
        ------
        redis.exceptions.RedisError
            Redis does not answer; some rows may have been written.
        """
        packed = np.empty(values.shape, dtype=_VALUE)
        packed["tag"], packed["number"] = _DOUBLE, values
        blob, null = packed.tobytes(), np.isnan(values).ravel().tolist()
        fields = [*map(self._field, features)]
        messages = {micros: _message(micros) for micros in set(ts.tolist())}
        with self._client.pipeline(transaction=False) as pipe:
            for row, (symbol, micros) in enumerate(zip(symbols, ts.tolist(), strict=True)):
                command = ["HSET", self._key(symbol), self._ts_field, messages[micros]]
                for at, field in enumerate(fields, row * len(fields)):
                    command += (field, b"" if null[at] else blob[at * _VALUE.itemsize : (at + 1) * _VALUE.itemsize])
                pipe.execute_command(*command)
            pipe.execute()

    def _numbers(self, blob: bytes, rows: int, columns: int) -> Floats:
        if len(blob) == rows * columns * _VALUE.itemsize:
            packed = np.frombuffer(blob, dtype=_VALUE)
            if (packed["tag"] == _DOUBLE).all():
                return packed["number"].reshape(rows, columns)
        raise StoreUnavailable(
            f"Redis has values of {self._view} that are no doubles.",
            field="redis_url",
            remedy="Give this project a Redis database of its own, and materialize again.",
        )

    def _entity_key(self, symbol: str) -> bytes:
        name = symbol.encode()
        head = struct.pack("<III", 1, _STRING, len(_JOIN_KEY))
        return b"".join((head, _JOIN_KEY, struct.pack("<II", _STRING, len(name)), name, self._project))

    def _feature_field(self, feature: str) -> bytes:
        import mmh3

        return struct.pack("<I", mmh3.hash(f"{self._view}:{feature}", signed=False))

    @cached_property
    def _client(self) -> Any:
        from redis import Redis

        timeout = self._timeout_secs
        return Redis.from_url(self._url, socket_connect_timeout=timeout, socket_timeout=timeout, retry=None)


def _micros(message: bytes | None) -> int:
    from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]  # no types

    return int(Timestamp.FromString(message).ToMicroseconds()) if message else 0


def _message(micros: int) -> bytes:
    from google.protobuf.timestamp_pb2 import Timestamp

    stamp = Timestamp()
    stamp.FromMicroseconds(micros)
    return bytes(stamp.SerializeToString())
