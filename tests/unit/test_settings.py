"""Nonsense in the environment is named by variable, with a remedy; what is passed on to a child is what is meant."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alphamill import environment
from alphamill.cli.__main__ import app
from alphamill.domain.portfolios import load_portfolio
from alphamill.errors import InvalidConfig
from alphamill.settings import Settings, load_settings, packaged

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ALPHAMILL_GATEWAY_PORT", "abc", "valid integer"),
        ("ALPHAMILL_GATEWAY_PORT", "70000", "less than or equal to 65535"),
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


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ALPHAMILL_LEDGER_DNS", "Did you mean ALPHAMILL_LEDGER_DSN?"),
        ("ALPHAMILL_HOEM", "Did you mean ALPHAMILL_HOME?"),
        ("alphamill_redis_uri", "Did you mean ALPHAMILL_REDIS_URL?"),
        ("ALPHAMILL_QQQQQQQQQQQQQQQQ", "docs/settings.md lists the settings; unset it."),
    ],
)
def test_an_unknown_variable_refuses_to_start(monkeypatch: pytest.MonkeyPatch, name: str, nearest: str) -> None:
    monkeypatch.setenv(name, "postgresql://desk:secret@h/db")
    with pytest.raises(InvalidConfig, match=f"{name} is no setting") as refused:
        load_settings()
    assert (refused.value.field, refused.value.remedy) == (name, nearest)
    assert "secret" not in str(refused.value)


def test_doctor_and_help_go_on_with_an_unknown_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALPHAMILL_HOME", str(tmp_path))
    monkeypatch.setenv("ALPHAMILL_LEDGER_DNS", "x")
    monkeypatch.setenv("COLUMNS", "200")
    assert CliRunner().invoke(app, ["--help"]).exit_code == 0
    said = CliRunner().invoke(app, ["doctor"])
    assert said.exit_code == 1
    assert "nothing reads ALPHAMILL_LEDGER_DNS" in said.output
    assert "Did you mean ALPHAMILL_LEDGER_DSN?" in said.output


def test_what_processes_tell_each_other_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment.BETWEEN_PROCESSES:
        monkeypatch.setenv(name, "x")
    load_settings()


def test_a_child_is_told_exactly_the_settings_that_are_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALPHAMILL_LEDGER_DSN", "sqlite:////data/real.db")
    monkeypatch.setenv("alphamill_lake_uri", "s3://real/lake")
    monkeypatch.setenv("ALPHAMILL_RUNTIME_TOKEN", "word")
    monkeypatch.setenv("OTHER", "kept")
    meant = Settings(
        home=tmp_path, redis_url="redis://:pw@h:1/0", portfolios=(tmp_path / "a.yaml",), ledger_dsn=None, lake_uri=None
    )
    child = environment.child_environment(meant, {environment.PROGRESS_FILE: "p"})
    assert not {"ALPHAMILL_LEDGER_DSN", "alphamill_lake_uri", "ALPHAMILL_LAKE_URI"} & set(child)
    assert (child["OTHER"], child["ALPHAMILL_RUNTIME_TOKEN"], child["ALPHAMILL_PROGRESS_FILE"]) == ("kept", "word", "p")
    program = (
        "from alphamill.settings import load_settings\n"
        "s = load_settings(); print(repr(s), s.redis_url.get_secret_value())"
    )
    said = subprocess.run([sys.executable, "-c", program], env=child, capture_output=True, text=True, check=True).stdout
    assert said.strip() == f"{meant!r} redis://:pw@h:1/0"


def test_the_defaults_are_installed_with_the_package() -> None:
    settings = Settings()
    assert [load_portfolio(path).name for path in settings.portfolios] == ["demo"]
    assert {path.name for path in settings.feature_repo.iterdir()} >= {"definitions.py", "feature_store.yaml"}
    assert settings.feature_repo == packaged("feature_repo")


def test_a_wheel_carries_what_the_defaults_name(tmp_path: Path) -> None:
    """The packages that pyproject.toml puts into it, installed elsewhere as an installer does."""
    site = tmp_path / "site"
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for package in packages["packages"]:
        shutil.copytree(ROOT / package, site / Path(package).name, ignore=shutil.ignore_patterns("__pycache__"))
    (site / "alphamill-0.1.0.dist-info").mkdir()
    (site / "alphamill-0.1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: alphamill\nVersion: 0.1.0\n"
    )
    program = (
        "from alphamill.settings import Settings; from alphamill.domain.portfolios import load_portfolio\n"
        "s = Settings(); print(s.feature_repo, s.portfolios[0], s.code_version); load_portfolio(s.portfolios[0])\n"
        "from alphamill.cli.checks import lock_match; print(lock_match(s).health, lock_match(s).detail)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(site), "PATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert said[0] == f"{site / 'feature_repo'} {site / 'alphamill' / 'resources' / 'portfolio.yaml'} 0.1.0"
    assert said[1].startswith("ok installed without a lock")


def test_the_version_of_the_code_is_the_installed_one_or_what_an_image_was_built_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Settings().code_version == "0.1.0+dev"
    monkeypatch.setenv("ALPHAMILL_CODE_VERSION", "1.2.3-g0f3a9b1")
    assert load_settings().code_version == "1.2.3-g0f3a9b1"
