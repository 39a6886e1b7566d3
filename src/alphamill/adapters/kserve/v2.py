"""The `Forecaster` port over the v2 inference protocol (binary tensors over REST)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx
import numpy as np
import orjson

from alphamill.domain.approval import approval_of
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecasts, ModelSignature
from alphamill.domain.signature import FloatMatrix, feature_matrix, to_forecasts
from alphamill.errors import ForecasterUnavailable, NotFound

HEADER_LENGTH: Final = "Inference-Header-Content-Length"
#: Parameter of an answer: `ModelSignature.fingerprint` of who gave it.
FINGERPRINT: Final = "signature"
ATTEMPTS: Final = 3
Asked = TypeVar("Asked")
_OUTPUTS: Final = ("mean", "std")


@dataclass(frozen=True, slots=True)
class _Known:
    url: str
    signature: ModelSignature


@dataclass(frozen=True, slots=True)
class _Answer:
    version: str
    fingerprint: str
    tensors: dict[str, FloatMatrix]


class _Switched(Exception):
    """Another version is deployed than the one the question was written for."""


class V2Forecaster:
    """Asks the model that is deployed at that moment; safe to share between threads.

    The signature is read from the server once per version, and every question names the version it is written for.
    When the deployment switches between two questions, or during one, the signature is read again and the question
    written again, if the snapshots hold what the new version needs: an answer always belongs to its signature.

    Parameters
    ----------
    endpoint
        Base URL; or a callable that is asked for it at every question and may raise `NotFound`.
    service
        Name of the inference service and of the model in the URL.
    timeout_secs
        For connecting, sending and each wait for the answer.
    """

    def __init__(self, endpoint: Callable[[], str] | str, service: str, timeout_secs: float = 5.0) -> None:
        self._endpoint = _as_callable(endpoint)
        self._service = service
        self._client = httpx.Client(timeout=timeout_secs, trust_env=False)
        self._known: _Known | None = None

    def close(self) -> None:
        self._client.close()

    def signature(self) -> ModelSignature:
        """Of the version that is deployed now: one that is known already is asked whether it still is.

        Raises
        ------
        ForecasterUnavailable
            Nothing is deployed, or it does not answer as a forecaster.
        """
        return self._settled(self._deployed)

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> Forecasts:
        """See `ports.Forecaster`; raises `InvalidFeatures` before asking, `ForecasterUnavailable` after."""
        if not snapshots:
            return Forecasts(self.signature(), ())
        return self._settled(lambda url: self._answered(self._at(url), snapshots))

    def _deployed(self, url: str) -> ModelSignature:
        known = self._known
        if known is not None and known.url == url:
            self._send("GET", f"{self._of_version(known)}/ready")
        return self._at(url).signature

    def _answered(self, known: _Known, snapshots: Sequence[FeatureSnapshot]) -> Forecasts:
        matrix = feature_matrix(known.signature, snapshots)
        tensors = self._ask(known, matrix)
        return to_forecasts(known.signature, snapshots, tensors["mean"], tensors["std"])

    def _settled(self, ask: Callable[[str], Asked]) -> Asked:
        """What `ask` returns of the deployment's URL, asked again after a switch, at most `ATTEMPTS` times in all."""
        for attempt in range(1, ATTEMPTS + 1):
            url = self._url()
            try:
                return ask(url)
            except _Switched as error:
                self._known = None
                if attempt == ATTEMPTS:
                    raise ForecasterUnavailable(str(error), remedy="Wait for the deployment to settle.") from error
            except ForecasterUnavailable:
                # A switch stops the old server; its successor is asked instead.
                if attempt == ATTEMPTS or self._url() == url:
                    raise
        raise AssertionError("unreachable")

    def _url(self) -> str:
        try:
            return self._endpoint().rstrip("/")
        except NotFound as error:
            raise ForecasterUnavailable(str(error), remedy="Deploy a model first: alphamill train.") from error

    def _at(self, url: str) -> _Known:
        known = self._known
        if known is None or known.url != url:
            known = _Known(url, self._read_signature(url))
            self._known = known
        return known

    def _read_signature(self, url: str) -> ModelSignature:
        answer = self._send("GET", f"{url}/v2/models/{self._service}/signature")
        try:
            fields = orjson.loads(answer.content)
            return ModelSignature(
                name=str(fields["name"]),
                version=str(fields["version"]),
                features=tuple(map(str, fields["features"])),
                horizon_bars=int(fields["horizon_bars"]),
                data_version=str(fields["data_version"]),
                run_id=str(fields["run_id"]),
                approved_for=approval_of(fields.get("approved_for")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self._malformed(f"no signature ({error!r})", answer) from error

    def _ask(self, known: _Known, matrix: FloatMatrix) -> dict[str, FloatMatrix]:
        head = orjson.dumps(
            {
                "inputs": [
                    {
                        "name": "features",
                        "shape": matrix.shape,
                        "datatype": "FP32",
                        "parameters": {
                            "binary_data_size": matrix.nbytes,
                            "columns": ",".join(known.signature.features),
                        },
                    }
                ],
                "parameters": {"binary_data_output": True},
            }
        )
        headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
        url = f"{self._of_version(known)}/infer"
        response = self._send("POST", url, content=head + matrix.astype("<f4", copy=False).tobytes(), headers=headers)
        try:
            answer = _read_answer(response)
        except (KeyError, TypeError, ValueError) as error:
            raise self._malformed(f"not a v2 answer ({error!r})", response) from error
        if answer.version != known.signature.version:
            raise _Switched(f"version {answer.version} answers a question for {known.signature.version}.")
        if answer.fingerprint != known.signature.fingerprint:
            raise _Switched(f"version {answer.version} answers under another signature than it has shown.")
        return answer.tensors

    def _of_version(self, known: _Known) -> str:
        return f"{known.url}/v2/models/{self._service}/versions/{quote(known.signature.version, safe='')}"

    def _send(self, method: str, url: str, **request: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, url, **request)
        except httpx.HTTPError as error:
            raise ForecasterUnavailable(
                f"{self._service} at {url} does not answer: {type(error).__name__} {error}.",
                remedy="See the log of the forecaster.",
            ) from error
        if answer.status_code == httpx.codes.NOT_FOUND or (
            answer.status_code == httpx.codes.BAD_REQUEST and "columns" in answer.text
        ):
            raise _Switched(f"{url} answered status {answer.status_code}: {answer.text[:500]}")
        if answer.status_code != httpx.codes.OK:
            raise self._malformed(f"status {answer.status_code}", answer)
        return answer

    def _malformed(self, what: str, answer: httpx.Response) -> ForecasterUnavailable:
        body = answer.content[:300].decode(errors="replace")
        return ForecasterUnavailable(
            f"{self._service} at {answer.url}: {what}. It said: {body}", remedy="See the log of the forecaster."
        )


def _as_callable(endpoint: Callable[[], str] | str) -> Callable[[], str]:
    return (lambda: endpoint) if isinstance(endpoint, str) else endpoint


def _read_answer(answer: httpx.Response) -> _Answer:
    """Version, fingerprint and output tensors of a binary answer; `ValueError` or `KeyError` when it is not one."""
    start = int(answer.headers[HEADER_LENGTH])
    head = orjson.loads(answer.content[:start])
    tensors: dict[str, FloatMatrix] = {}
    for output in head["outputs"]:
        size = int(output["parameters"]["binary_data_size"])
        if output["datatype"] != "FP32" or start + size > len(answer.content):
            raise ValueError(f"output {output['name']}: {output['datatype']}, {size} bytes")
        values = np.frombuffer(answer.content, dtype="<f4", count=size // 4, offset=start)
        tensors[output["name"]] = values.reshape(output["shape"])
        start += size
    if set(tensors) != set(_OUTPUTS):
        raise ValueError(f"outputs {sorted(tensors)}")
    return _Answer(str(head["model_version"]), str(head["parameters"][FINGERPRINT]), tensors)
