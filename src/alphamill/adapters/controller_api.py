"""The controller's HTTP API as a client sees it: what a feed, the replay and the CLI use."""

import time
from collections.abc import Mapping
from typing import Any, Final

import httpx

from alphamill.errors import Conflict, InvalidInput, NotFound, Unavailable

POLL_SECS: Final = 0.02


class ControllerApi:
    """Calls one controller process; problem+json answers become errors of `alphamill.errors`."""

    def __init__(self, url: str, *, timeout_secs: float = 30.0) -> None:
        self._client = httpx.Client(base_url=url, timeout=timeout_secs)

    def close(self) -> None:
        self._client.close()

    def post_bar(self, bar: Mapping[str, Any]) -> None:
        """One bar, as `POST /api/data` wants it."""
        self._call("POST", "/api/data", json=dict(bar))

    def portfolio(self, name: str) -> dict[str, Any]:
        """State, NAV and the time of the last decision."""
        return self._call("GET", f"/api/portfolios/{name}")

    def wait_ready(self, deadline_secs: float) -> None:
        """Until the controller can trade; `Unavailable` with its last answer after the deadline."""
        self._poll(lambda: self._call("GET", "/readyz"), deadline_secs, "the controller is not ready")

    def wait_decided(self, portfolio: str, at: str, deadline_secs: float) -> None:
        """Until the session that closed at `at` (ISO time) was decided."""

        def decided() -> None:
            last = self.portfolio(portfolio)["last_decision_at"]
            if last is None or last < at:
                raise Unavailable(f"last decision at {last}")

        self._poll(decided, deadline_secs, f"no decision for the session of {at}")

    def _poll(self, attempt: Any, deadline_secs: float, what: str) -> None:
        until = time.monotonic() + deadline_secs
        while True:
            try:
                attempt()
            except Unavailable as error:
                if time.monotonic() > until:
                    raise Unavailable(f"{what} after {deadline_secs:.0f} s: {error}") from error
                time.sleep(POLL_SECS)
            else:
                return

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise Unavailable(f"the controller does not answer: {error!r}.", remedy="Is it running?") from error
        if answer.is_success:
            return dict(answer.json())
        problem = answer.json() if "json" in answer.headers.get("content-type", "") else {"detail": answer.text}
        kinds = {404: NotFound, 409: Conflict, 422: InvalidInput}
        kind = kinds.get(answer.status_code, Unavailable)
        raise kind(f"{problem.get('detail')}", field=problem.get("field"), remedy=problem.get("remedy"))
