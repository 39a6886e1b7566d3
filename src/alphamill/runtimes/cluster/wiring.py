"""The parts of the cluster runtime: S3, PostgreSQL, Redis and MLflow by their addresses.

What the embedded runtime does with child processes is here the business of Kubernetes. Parts that have no adapter for
it yet refuse by name.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NoReturn

from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import InvalidConfig, NotSupported
from alphamill.ports import ModelServer, Pipelines, Search
from alphamill.ports.wiring import BarBroker
from alphamill.runtimes.stores import Stores
from alphamill.settings import Settings

if TYPE_CHECKING:
    from alphamill.adapters.kserve.v2 import V2Forecaster

#: Variable -> (what it must hold, whether it does). A home on one machine's disk is no place for any of it.
_NEEDS: Final[dict[str, tuple[str, Callable[[Settings], bool]]]] = {
    "ALPHAMILL_LAKE_URI": ("s3://<bucket>/<path>", lambda s: s.lake.startswith("s3://")),
    "ALPHAMILL_LEDGER_DSN": (
        "postgresql+psycopg://<user>@<host>/<database>",
        lambda s: s.ledger_url.startswith("postgresql+psycopg://"),
    ),
    "ALPHAMILL_REDIS_URL": ("redis://<host>:<port>/<db>", lambda s: "redis_url" in s.model_fields_set),
    "ALPHAMILL_MLFLOW_TRACKING_URI": (
        "http(s)://<host>:<port>",
        lambda s: s.tracking_uri.startswith(("http://", "https://")),
    ),
}


class ClusterWiring(Stores):
    """`ports.Wiring` in a cluster. Building it reaches no server.

    Raises
    ------
    InvalidConfig
        Names every variable that is missing or does not name a service of a cluster, or the driver that is missing.
    """

    def __init__(self, settings: Settings) -> None:
        missing = {name: form for name, (form, met) in _NEEDS.items() if not met(settings)}
        if missing:
            wanted = ", ".join(f"{name}={form}" for name, form in missing.items())
            raise InvalidConfig(
                f"the cluster runtime needs {wanted}.",
                field=next(iter(missing)),
                remedy="Set them, or ALPHAMILL_RUNTIME=embedded to run on this machine.",
            )
        super().__init__(settings, artifact_root=f"{settings.lake}/mlflow")
        _require_driver(settings)

    def search(self) -> Search:
        _refuse("hyper-parameter search (RayJob)", "Tune on one machine: ALPHAMILL_RUNTIME=embedded alphamill train.")

    def model_server(self) -> ModelServer:
        _refuse(
            "deploying models (InferenceService)",
            "Create the InferenceService by hand; its forecasts are read from ALPHAMILL_FORECASTER_URL.",
        )

    def forecaster(self, service: str) -> "V2Forecaster":
        url = self.settings.forecaster_url.format(service=service, namespace=self.settings.namespace)
        return self.asks(url, service)

    def broker(self, spec: PortfolioSpec) -> BarBroker:
        _refuse(
            f"the {spec.broker.kind} broker of {spec.name}, whose books are a file on one machine's disk",
            "Trade it with ALPHAMILL_RUNTIME=embedded.",
        )

    def pipelines(self) -> Pipelines:
        _refuse(
            "running pipelines (a Kubeflow Pipelines backend)",
            "Write their YAML with `alphamill pipeline compile` and upload it to the backend.",
        )

    def join(self) -> None:
        """Nothing: Kubernetes ends a pod with whatever it belongs to."""


def _refuse(what: str, remedy: str) -> NoReturn:
    raise NotSupported(f"the cluster runtime has no part for {what} yet.", field="ALPHAMILL_RUNTIME", remedy=remedy)


def _require_driver(settings: Settings) -> None:
    """An engine is made, without a connection: a driver that is not installed is known now, not at the first order."""
    from alphamill.adapters.sql.engine import Database

    Database(settings.ledger_url).close()
