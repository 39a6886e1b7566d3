"""`Notifier` over Apprise: mail, chat, push or a webhook, each named by a URL."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Any

import structlog

from alphamill.errors import InvalidConfig

log = structlog.get_logger(__name__)

#: More waiting messages than this are dropped: a dead mail server must not fill the memory.
MAX_WAITING = 100


class AppriseNotifier:
    """Sends each message to every URL, on a thread of its own: a slow or dead service delays no order.

    Parameters
    ----------
    urls
        Apprise URLs, e.g. ``mailto://...`` or ``slack://...``. None: messages are logged only.
    on_failure
        Called once per message that did not reach every URL, e.g. a counter's ``inc``.

    Raises
    ------
    InvalidConfig
        A URL that Apprise does not understand. The message shows its scheme only: the rest may hold a secret.
    """

    def __init__(self, urls: Sequence[str], *, on_failure: Callable[[], object] = lambda: None) -> None:
        self._service = _service(urls)
        self._on_failure = on_failure
        # Its thread starts with the first message; at exit Python waits for messages not yet sent.
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="notify")
        self._waiting: set[Future[None]] = set()
        self._lock = threading.Lock()

    def notify(self, title: str, body: str) -> None:
        """Queue a message. Never raises: a message that fails is logged and counted."""
        log.info("notification", title=title, body=body)
        if self._service is None:
            return
        try:
            with self._lock:
                if len(self._waiting) >= MAX_WAITING:
                    raise RuntimeError(f"{MAX_WAITING} messages are waiting already")
                future = self._sender.submit(self._send, title, body)
                self._waiting.add(future)
            future.add_done_callback(self._done)
        except RuntimeError as error:  # too many waiting, or closed
            self._failed(title, str(error))

    def close(self, timeout_secs: float = 10.0) -> None:
        """Wait for messages under way, at most `timeout_secs`; take no more."""
        with self._lock:
            waiting = set(self._waiting)
        wait_for(waiting, timeout=timeout_secs)
        self._sender.shutdown(wait=False, cancel_futures=True)

    def _send(self, title: str, body: str) -> None:
        try:
            if not self._service.notify(title=title, body=body):
                self._failed(title, "at least one service did not take it")
        except Exception as error:  # a plugin may raise anything; the trading path must not feel it
            self._failed(title, repr(error))

    def _done(self, future: Future[None]) -> None:
        with self._lock:
            self._waiting.discard(future)

    def _failed(self, title: str, why: str) -> None:
        log.error("notification failed", title=title, why=why)
        self._on_failure()


def _service(urls: Sequence[str]) -> Any:
    if not urls:
        return None
    import apprise

    service = apprise.Apprise()
    for url in urls:
        if not service.add(url):
            scheme = url.split("://", 1)[0] if "://" in url else "no scheme"
            raise InvalidConfig(
                f"a notification URL ({scheme}) is not understood.",
                field="notify_urls",
                remedy="Write it as Apprise documents it, e.g. json://host/path.",
            )
    return service
