"""A password that is put into a setting reaches the part that needs it, and nothing that is printed."""

import io
import json
import logging
import pickle
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from alphamill.bootstrap import wiring
from alphamill.cli.__main__ import app
from alphamill.errors import AlphamillError, EventBusUnavailable, InvalidConfig
from alphamill.logs import configure
from alphamill.secret_url import SecretUrl, masked, masked_text, password_of, without_secret
from alphamill.settings import Settings, load_settings

CANARY = "c4nary-in-the-mine"
SECRETS = {
    "ALPHAMILL_REDIS_URL": f"redis://:{CANARY}@127.0.0.1:1/0",
    "ALPHAMILL_LEDGER_DSN": f"postgresql+psycopg://desk:{CANARY}@127.0.0.1:1/books?sslpassword={CANARY}",
    "ALPHAMILL_MLFLOW_TRACKING_URI": f"http://desk:{CANARY}@127.0.0.1:1",
    "ALPHAMILL_LAKE_URI": f"s3://key:{CANARY}@lake/root",
    "ALPHAMILL_NOTIFY_URLS": json.dumps([f"slack://{CANARY}/B/C", f"mailto://me:{CANARY}@example.org"]),
}


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Settings with the canary in each that may hold one."""
    monkeypatch.setenv("ALPHAMILL_HOME", str(tmp_path / "home"))
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://desk:pw@host/db", "postgresql://desk:***@host/db"),
        ("postgresql://desk:p@w/1:2@host/db", "postgresql://desk:***@host/db"),
        ("redis://:pw@host:1/0", "redis://:***@host:1/0"),
        ("https://token@host/x", "https://***@host/x"),
        ("az://lake/x?sig=abc&region=eu", "az://lake/x?sig=***&region=eu"),
        ("host=h user=u password=pw", "***"),
        ("sqlite:////data/ledger.db", "sqlite:////data/ledger.db"),
        ("s3://bucket/lake", "s3://bucket/lake"),
        ("http://host:80/a", "http://host:80/a"),
        ("/data/lake", "/data/lake"),
    ],
)
def test_a_url_is_shown_without_its_secret(url: str, shown: str) -> None:
    assert masked(url) == shown
    assert str(SecretUrl(url)) == shown
    assert repr(SecretUrl(url)) == f"SecretUrl('{shown}')"
    assert SecretUrl(url).get_secret_value() == url


def test_urls_within_a_text_are_shown_without_their_users() -> None:
    text = "tried redis://:pw@h:1/0, then 'https://a:b@h/x?api_key=k' and sqlite:////data/x.db."
    assert masked_text(text) == "tried redis://***@h:1/0, then 'https://***@h/x?api_key=***' and sqlite:////data/x.db."


def test_the_password_is_found_as_it_is_written() -> None:
    assert password_of("postgresql://desk:p%40w@host/db") == "p%40w"
    assert password_of("sqlite:///x") == ""


def test_an_error_that_quotes_no_secret_is_the_cause_itself() -> None:
    error = ValueError("no route to host")
    assert without_secret(error, SECRETS["ALPHAMILL_LEDGER_DSN"]) is error


def test_an_error_whose_own_cause_quotes_one_is_not_passed_on() -> None:
    outer = ValueError("no connection")
    outer.__cause__ = OSError(f"wrong password {CANARY}")
    assert without_secret(outer, f"redis://:{CANARY}@h") is not outer


@pytest.mark.parametrize(
    "show",
    [repr, str, Settings.model_dump_json, lambda s: str(s.model_dump()), lambda s: str(s.model_dump(mode="json"))],
    ids=["repr", "str", "json", "dump", "json dump"],
)
def test_settings_that_are_shown_show_no_secret(secrets: Settings, show: Callable[[Settings], str]) -> None:
    secrets.lake, secrets.ledger_url, secrets.tracking_uri  # noqa: B018 - asked for once, they could be kept
    assert CANARY not in show(secrets)
    assert CANARY not in repr(dict(secrets))
    assert CANARY not in repr(vars(secrets))


def test_parts_and_children_get_the_real_one(secrets: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert secrets.redis_url.get_secret_value() == SECRETS["ALPHAMILL_REDIS_URL"]
    assert secrets.ledger_url == SECRETS["ALPHAMILL_LEDGER_DSN"]
    assert secrets.tracking_uri == SECRETS["ALPHAMILL_MLFLOW_TRACKING_URI"]
    assert secrets.lake == SECRETS["ALPHAMILL_LAKE_URI"]
    assert [url.get_secret_value() for url in secrets.notify_urls] == json.loads(SECRETS["ALPHAMILL_NOTIFY_URLS"])
    assert pickle.loads(pickle.dumps(secrets)) == secrets
    told = secrets.variables()
    assert {name: told[name] for name in SECRETS} == SECRETS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALPHAMILL_REDIS_URL", f"http://:{CANARY}@h"),
        ("ALPHAMILL_NOTIFY_URLS", f'["slack://{CANARY}",'),
        ("ALPHAMILL_NOTIFY_URLS", f'{{"slack": "{CANARY}"}}'),
    ],
)
def test_a_malformed_secret_is_refused_unseen(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidConfig) as refused:
        load_settings()
    assert refused.value.field == name
    assert CANARY not in shown(refused.value)


def shown(error: BaseException) -> str:
    """Everything a log or a terminal would have of it, causes included."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))


def ledger(settings: Settings) -> Any:
    return wiring(settings).ledger()


def registry(settings: Settings) -> Any:
    return wiring(settings).registry()


def bars(settings: Settings) -> Any:
    return wiring(settings).lake().read("bars")


def notifier(settings: Settings) -> Any:
    return wiring(settings).notifier()


@pytest.mark.parametrize(
    ("open_it", "changes"),
    [
        (ledger, {}),
        (ledger, {"ledger_dsn": f"nonsense desk:{CANARY}@h"}),
        (ledger, {"ledger_dsn": f"oracle://desk:{CANARY}@h/db"}),
        (registry, {}),
        (registry, {"mlflow_tracking_uri": f"postgresql+psycopg://desk:{CANARY}@127.0.0.1:1/mlflow"}),
        (registry, {"mlflow_tracking_uri": f"nonsense desk:{CANARY}@h"}),
        (bars, {"lake_uri": f"nonsense://key:{CANARY}@lake/root"}),
        (notifier, {"notify_urls": (f"nonsense://{CANARY}",)}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "-".join(value) or "unreachable",
)
def test_a_part_that_cannot_be_opened_says_so_without_the_secret(
    secrets: Settings, open_it: Callable[[Settings], Any], changes: dict[str, Any]
) -> None:
    settings = Settings(**{**{name: getattr(secrets, name) for name in secrets.model_fields_set}, **changes})
    with pytest.raises(AlphamillError) as failed:
        open_it(settings)
    assert CANARY not in shown(failed.value)


async def test_an_event_bus_that_cannot_be_reached_says_so_without_the_secret(secrets: Settings) -> None:
    with pytest.raises(EventBusUnavailable) as failed:
        await wiring(secrets).events("gateway").start()
    assert CANARY not in shown(failed.value)


def test_a_feature_store_that_cannot_be_reached_says_so_without_the_secret(secrets: Settings, tmp_path: Path) -> None:
    from alphamill.adapters.feast.online_features import FeastOnlineFeatures
    from alphamill.adapters.feast.repo import FeastRepo

    redis_url = SECRETS["ALPHAMILL_REDIS_URL"]
    FeastRepo(secrets.feature_repo, secrets.home / "features", redis_url).apply()
    with pytest.raises(AlphamillError) as failed:
        wiring(secrets).online_features().read(["A"], ["ret_1"])
    assert CANARY not in shown(failed.value)
    (tmp_path / "feature_store.yaml").write_text(
        (secrets.feature_repo / "feature_store.yaml")
        .read_text()
        .replace("cache_ttl_seconds: 60", "cache_ttl_seconds: [${ALPHAMILL_REDIS}")
    )
    broken = FeastOnlineFeatures(FeastRepo(tmp_path, tmp_path / "data", redis_url))
    with pytest.raises(AlphamillError) as failed:
        broken.read(["A"], ["ret_1"])
    assert CANARY not in shown(failed.value)


def test_doctor_shows_no_secret(secrets: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    said = CliRunner().invoke(app, ["doctor"])
    assert "redis://:***@127.0.0.1:1/0 does not answer" in said.output
    assert CANARY not in said.output


@pytest.mark.parametrize("terminal", [True, False])
def test_a_line_of_a_log_shows_no_secret_whoever_wrote_it(
    secrets: Settings, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(written, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stderr", written)
    configure(secrets, "test")
    password = SECRETS["ALPHAMILL_LEDGER_DSN"]
    log = structlog.get_logger("alphamill.test")
    log.error("settings", settings=secrets, url=password)
    logging.getLogger("library").error("cannot open %s", password)
    try:
        raise OSError(f"cannot open {password}")
    except OSError:
        log.exception("failed")
    assert len(written.getvalue().splitlines()) >= 3
    assert CANARY not in written.getvalue()


def test_the_console_hides_what_an_error_of_a_library_quotes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from alphamill.cli.console import show_error

    show_error(InvalidConfig(f"cannot open {SECRETS['ALPHAMILL_REDIS_URL']}", remedy="Mend it."))
    assert CANARY not in capsys.readouterr().err
