"""Nonsense in the environment is named by variable, with a remedy."""

import pytest

from alphamill.errors import InvalidConfig
from alphamill.settings import load_settings


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ALPHAMILL_CONTROLLER_PORT", "abc", "valid integer"),
        ("ALPHAMILL_CONTROLLER_PORT", "70000", "less than or equal to 65535"),
        ("ALPHAMILL_CLOCK", "x", "'system' or 'bars'"),
        ("ALPHAMILL_REDIS_URL", "http://x", "match pattern"),
        ("ALPHAMILL_FORECAST_TIMEOUT_SECS", "nan", "less than or equal to 120"),
        ("ALPHAMILL_PORTFOLIOS", "my.yaml", r"is not JSON \(got 'my\.yaml'\)"),
        ("ALPHAMILL_NOTIFY_URLS", "[1,", "is not JSON"),
    ],
)
def test_a_bad_setting_names_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidConfig, match=words) as caught:
        load_settings()
    assert caught.value.field == name
    assert name in caught.value.message
    assert caught.value.remedy
