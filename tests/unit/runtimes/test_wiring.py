"""Each runtime builds one `Wiring`; the cluster's is built, checked and refused without a cluster."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from alphamill.adapters.kserve.v2 import V2Forecaster
from alphamill.bootstrap import supervisor, wiring
from alphamill.cli.runtime import services
from alphamill.domain.portfolios import load_portfolio
from alphamill.errors import InvalidConfig, NotFound, NotSupported, StoreUnavailable
from alphamill.ports import Wiring
from alphamill.runtimes.cluster.wiring import ClusterWiring
from alphamill.runtimes.embedded.wiring import EmbeddedWiring
from alphamill.settings import Settings, load_settings

CLUSTER = {
    "ALPHAMILL_RUNTIME": "cluster",
    "ALPHAMILL_LAKE_URI": "s3://lake/alphamill",
    "ALPHAMILL_LEDGER_DSN": "postgresql+psycopg://alphamill:pw-of-the-ledger@ledger.db.svc/alphamill",
    "ALPHAMILL_REDIS_URL": "redis://redis.store.svc:6379/0",
    "ALPHAMILL_MLFLOW_TRACKING_URI": "http://mlflow.ml.svc:5000",
}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in CLUSTER.items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.mark.parametrize("kind", [EmbeddedWiring, ClusterWiring])
def test_every_runtime_has_every_part(kind: type) -> None:
    for name, wanted in vars(Wiring).items():
        if not name.startswith("_"):
            built = inspect.getattr_static(kind, name)
            assert isinstance(built, type(wanted)), name
            if inspect.isfunction(wanted):
                said, asked = inspect.signature(built), inspect.signature(wanted)
                assert list(said.parameters) == list(asked.parameters), name


def test_the_runtime_is_a_setting_and_the_default_is_this_machine(tmp_path: Path, cluster: Settings) -> None:
    assert type(wiring(Settings(runtime="embedded", home=tmp_path))) is EmbeddedWiring
    assert type(wiring(cluster)) is ClusterWiring
    assert Settings.model_fields["runtime"].default == "embedded"


def test_an_unknown_runtime_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPHAMILL_RUNTIME", "swarm")
    with pytest.raises(InvalidConfig, match="'embedded' or 'cluster'"):
        load_settings()


@pytest.mark.parametrize("missing", [name for name in CLUSTER if name != "ALPHAMILL_RUNTIME"])
def test_the_cluster_names_the_variable_that_it_lacks(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name, value in CLUSTER.items():
        if name != missing:
            monkeypatch.setenv(name, value)
    with pytest.raises(InvalidConfig, match=missing) as refused:
        wiring(load_settings())
    assert refused.value.field == missing
    assert "ALPHAMILL_RUNTIME=embedded" in str(refused.value.remedy)
    assert not [name for name in CLUSTER if name in refused.value.message.replace(missing, "")]


def test_the_cluster_names_all_variables_that_it_lacks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPHAMILL_RUNTIME", "cluster")
    with pytest.raises(InvalidConfig) as refused:
        wiring(load_settings())
    assert all(name in refused.value.message for name in CLUSTER if name != "ALPHAMILL_RUNTIME")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALPHAMILL_LAKE_URI", "/data/lake"),
        ("ALPHAMILL_LEDGER_DSN", "sqlite:////data/ledger.db"),
        ("ALPHAMILL_LEDGER_DSN", "postgresql+psycopg2://alphamill:pw-of-the-ledger@ledger/alphamill"),
        ("ALPHAMILL_MLFLOW_TRACKING_URI", "sqlite:////data/mlflow.db"),
    ],
)
def test_the_disk_of_one_machine_is_no_service_of_a_cluster(
    cluster: Settings, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidConfig, match=name) as refused:
        wiring(load_settings())
    assert "pw-of-the-ledger" not in str(refused.value)


@pytest.mark.parametrize(
    ("part", "names"),
    [
        (lambda parts: parts.search(), "RayJob"),
        (lambda parts: parts.model_server(), "InferenceService"),
        (lambda parts: parts.pipelines(), "Kubeflow Pipelines"),
        (lambda parts: parts.broker(load_portfolio(parts.settings.portfolios[0])), "paper broker of demo"),
    ],
    ids=["search", "model server", "pipelines", "broker"],
)
def test_what_the_cluster_does_not_have_yet_is_refused_by_name(cluster: Settings, part, names: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NotSupported, match=names) as refused:
        part(wiring(cluster))
    assert refused.value.remedy


def test_parts_of_the_cluster_are_built_before_any_server_is_reached(cluster: Settings) -> None:
    parts = wiring(cluster)
    assert parts.settings is cluster
    for built in (
        parts.bars(),
        parts.lake(),
        parts.events("gateway"),
        parts.online_features(),
        parts.offline_features(),
    ):
        assert built is not None
    assert [spec.name for spec in parts.portfolios()] == ["demo"]
    assert parts.clock().now().tzinfo is not None
    parts.join()
    parts.close()


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://forecaster-predictor.alphamill.svc.cluster.local"),
        ({"ALPHAMILL_NAMESPACE": "desk"}, "http://forecaster-predictor.desk.svc.cluster.local"),
        ({"ALPHAMILL_FORECASTER_URL": "https://models.example/{service}/"}, "https://models.example/forecaster"),
    ],
)
def test_a_forecaster_of_the_cluster_is_asked_at_its_service(
    cluster: Settings, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    parts = wiring(load_settings())
    asks = parts.forecaster("forecaster")
    assert isinstance(asks, V2Forecaster)
    assert asks._url() == url
    parts.close()


@pytest.mark.parametrize("url", ["http://one-for-all", "ftp://{service}", "http://{service}.{zone}"])
def test_a_forecaster_address_without_the_service_or_with_other_blanks_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("ALPHAMILL_FORECASTER_URL", url)
    with pytest.raises(InvalidConfig) as refused:
        load_settings()
    assert refused.value.field == "ALPHAMILL_FORECASTER_URL"


def test_commands_that_start_processes_refuse_the_cluster(cluster: Settings) -> None:
    with pytest.raises(NotSupported) as refused:
        supervisor(cluster)
    assert refused.value.field == "ALPHAMILL_RUNTIME"
    with services(cluster) as parts:  # it has all it needs by address: nothing is started
        assert type(parts) is ClusterWiring


def test_what_a_wiring_opened_it_closes(tmp_path: Path) -> None:
    parts = wiring(Settings(home=tmp_path))
    with pytest.raises(StoreUnavailable, match="does not exist"):
        parts.history()
    ledger = parts.ledger()
    assert parts.history().records() == []
    with pytest.raises(NotFound):
        ledger.trail("nothing")
    asks = parts.forecaster("forecaster")
    parts.close()
    assert asks._client.is_closed  # type: ignore[attr-defined]


def test_building_a_wiring_imports_no_technology_of_the_parts_it_is_not_asked_for(tmp_path: Path) -> None:
    program = (
        "import sys; from alphamill.bootstrap import wiring; from alphamill.settings import Settings\n"
        "wiring(Settings()).clock()\n"
        "heavy = {'feast', 'mlflow', 'torch', 'ray', 'kfp', 'sqlalchemy', 'deltalake', 'redis'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.strip() == "[]"
