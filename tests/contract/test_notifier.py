"""The `Notifier` port: the fake, and Apprise posting to a real HTTP server."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from structlog.testing import capture_logs

from alphamill.adapters.notify.apprise import MAX_WAITING, AppriseNotifier
from alphamill.adapters.notify.silent import SilentNotifier
from alphamill.errors import InvalidConfig
from alphamill.testing.notifier import InMemoryNotifier


class Inbox(ThreadingHTTPServer):
    """Keeps what is posted; answers with `status`, and only once `gate` is open."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posted: list[tuple[str, str]] = []
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.server_port}/alerts"


class _Handler(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.gate.wait(10)
        self.server.posted.append((body["title"], body["message"]))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(params=["fake", "apprise"])
def told(request: pytest.FixtureRequest, inbox: Inbox) -> Callable[..., list[tuple[str, str]]]:
    """Sends messages through a notifier; returns what arrived."""

    def send(*messages: tuple[str, str]) -> list[tuple[str, str]]:
        if request.param == "fake":
            fake = InMemoryNotifier()
            for message in messages:
                fake.notify(*message)
            return fake.sent
        notifier = AppriseNotifier([inbox.url])
        for message in messages:
            notifier.notify(*message)
        notifier.close()
        return inbox.posted

    return send


def test_messages_arrive_in_order(told: Callable[..., list[tuple[str, str]]]) -> None:
    messages = [("demo is now HALTED", "operator"), ("demo lost 25 %", "NAV 75,000 USD")]
    assert told(*messages) == messages


def test_failure_is_logged_and_counted_but_never_raised(inbox: Inbox) -> None:
    inbox.status = 500
    failures: list[None] = []
    with capture_logs() as logs:
        notifier = AppriseNotifier([inbox.url], on_failure=lambda: failures.append(None))
        notifier.notify("title", "body")
        notifier.close()
    assert len(failures) == 1
    assert [entry["title"] for entry in logs if entry["event"] == "notification failed"] == ["title"]


def test_nobody_listening_is_a_counted_failure(inbox: Inbox) -> None:
    failures: list[None] = []
    with Inbox() as gone:
        url = gone.url
    notifier = AppriseNotifier([url], on_failure=lambda: failures.append(None))
    notifier.notify("title", "body")
    notifier.close()
    assert len(failures) == 1


def test_slow_service_does_not_hold_the_caller_and_the_queue_is_bounded(inbox: Inbox) -> None:
    inbox.gate.clear()
    failures: list[None] = []
    notifier = AppriseNotifier([inbox.url], on_failure=lambda: failures.append(None))
    for number in range(MAX_WAITING + 3):
        notifier.notify(str(number), "body")
    assert (inbox.posted, len(failures)) == ([], 3)
    notifier.close(timeout_secs=0)
    inbox.gate.set()


def test_message_after_close_is_a_counted_failure(inbox: Inbox) -> None:
    failures: list[None] = []
    notifier = AppriseNotifier([inbox.url], on_failure=lambda: failures.append(None))
    notifier.close()
    notifier.notify("title", "body")
    assert len(failures) == 1


def test_without_urls_messages_are_logged() -> None:
    with capture_logs() as logs:
        AppriseNotifier([]).notify("title", "body")
    assert logs == [{"event": "notification", "title": "title", "body": "body", "log_level": "info"}]


def test_unreadable_url_is_refused_without_showing_its_secret() -> None:
    with pytest.raises(InvalidConfig) as refused:
        AppriseNotifier(["nonsense://token:secret@host"])
    assert refused.value.field == "notify_urls"
    assert "secret" not in str(refused.value)


def test_silent_notifier_tells_nobody() -> None:
    SilentNotifier().notify("title", "body")
