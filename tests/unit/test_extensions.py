"""Code of the user's own is found by name or by file; what is broken is named."""

import sys
from pathlib import Path

import pytest

from alphamill.domain.portfolios import PortfolioSpec, RiskLimits, Universe
from alphamill.errors import InvalidConfig
from alphamill.extensions import load_extensions
from alphamill.risk import default_rules
from alphamill.settings import load_settings


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delitem(sys.modules, "own_code", raising=False)
    return tmp_path / "own_code.py"


def test_a_file_and_a_module_are_imported_once(own: Path) -> None:
    own.write_text("loaded = []\n")
    (first,), (again,) = load_extensions([str(own)]), load_extensions([str(own)])
    assert first is again
    assert load_extensions(["json.decoder"])[0].__name__ == "json.decoder"


@pytest.mark.parametrize(
    ("text", "said"),
    [("1 / 0", "ZeroDivisionError"), ("import nothing_like_it", "nothing_like_it"), (None, "own_code")],
)
def test_what_does_not_load_is_named(own: Path, text: str | None, said: str) -> None:
    if text is not None:
        own.write_text(text)
    with pytest.raises(InvalidConfig, match=said) as raised:
        load_extensions([str(own)])
    assert raised.value.field == "ALPHAMILL_EXTENSIONS"
    assert "own_code" not in sys.modules


def test_settings_import_their_extensions(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own.write_text("loaded = True\n")
    monkeypatch.setenv("ALPHAMILL_EXTENSIONS", f'["{own}"]')
    assert load_settings().extensions == (str(own),)
    assert sys.modules["own_code"].loaded


def test_a_rule_that_nobody_registered_is_refused() -> None:
    spec = PortfolioSpec(name="demo", universe=Universe(symbols=("A",)), risk=RiskLimits(own_rules=("nobodys",)))
    with pytest.raises(InvalidConfig, match="nobodys") as raised:
        default_rules(spec)
    assert raised.value.field == "risk.own_rules"


def test_a_file_called_like_a_loaded_module_is_refused_not_mistaken_for_it(tmp_path: Path) -> None:
    own = tmp_path / "json.py"
    own.write_text("loaded = True\n")
    with pytest.raises(InvalidConfig, match="another name"):
        load_extensions([str(own)])
