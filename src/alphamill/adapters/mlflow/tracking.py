"""MLflow runs, and the one way to reach an MLflow store."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from alphamill import environment
from alphamill.errors import AlphamillError, InvalidConfig, NotFound, StoreUnavailable
from alphamill.ports.tracking import RunStatus
from alphamill.secret_url import masked, without_secret

#: Seconds to wait for an MLflow server's health answer before it counts as away.
_PROBE_SECS = 5.0


class MlflowTracking:
    """Runs of one experiment.

    Parameters
    ----------
    tracking_uri
        ``sqlite:///...``, another SQLAlchemy URL, or the address of an MLflow server.
    artifact_root
        Folder or URI (``s3://...``) under which the artifacts of new experiments go.
    experiment
        Created when unknown.

    Raises
    ------
    StoreUnavailable
        The store cannot be reached or opened.
    """

    def __init__(self, tracking_uri: str, artifact_root: Path | str, *, experiment: str = "alphamill") -> None:
        self._uri = tracking_uri
        self._client = connect(tracking_uri)
        with mlflow_errors(tracking_uri):
            found = self._client.get_experiment_by_name(experiment)
            location = f"{root_uri(artifact_root)}/runs"
            self._experiment_id = found.experiment_id if found else self._client.create_experiment(experiment, location)

    def start(self, name: str, *, parent: str | None = None, tags: Mapping[str, str] | None = None) -> str:
        """Open a run and return its id; `parent` is the id of the run it is shown under."""
        labels = {"mlflow.runName": name, **(tags or {})}
        if parent:
            labels["mlflow.parentRunId"] = parent
        with mlflow_errors(self._uri):
            return str(self._client.create_run(self._experiment_id, tags=labels).info.run_id)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        series: Mapping[str, Sequence[float]] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """One write. Parameters that are not strings are written as JSON; `series` become metrics by step."""
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        points = [(k, 0, v) for k, v in (metrics or {}).items()]
        points += [(k, step, v) for k, values in (series or {}).items() for step, v in enumerate(values)]
        with mlflow_errors(self._uri):
            self._client.log_batch(
                run_id,
                params=[Param(k, v if isinstance(v, str) else json.dumps(v)) for k, v in (params or {}).items()],
                metrics=[Metric(k, float(v), now, step) for k, step, v in points],
                tags=[RunTag(k, v) for k, v in (tags or {}).items()],
            )

    def log_artifacts(self, run_id: str, folder: Path, path: str | None = None) -> None:
        """Store the files of `folder` with the run, under `path` there."""
        with mlflow_errors(self._uri):
            self._client.log_artifacts(run_id, str(folder), path)

    def finish(self, run_id: str, status: RunStatus = "FINISHED") -> None:
        with mlflow_errors(self._uri):
            self._client.set_terminated(run_id, status)

    @contextmanager
    def run(self, name: str, *, parent: str | None = None, tags: Mapping[str, str] | None = None) -> Iterator[str]:
        """A run for the length of a block: FINISHED after it, FAILED when it raises."""
        run_id = self.start(name, parent=parent, tags=tags)
        try:
            yield run_id
        except BaseException:
            self.finish(run_id, "FAILED")
            raise
        self.finish(run_id)


def connect(tracking_uri: str) -> Any:
    """An `MlflowClient`, after one quick look whether the store answers at all.

    MLflow itself would retry for minutes, so the look comes first.
    """
    _quiet_mlflow()
    _probe(tracking_uri)
    from mlflow import MlflowClient

    with mlflow_errors(tracking_uri):
        address = _without_user(tracking_uri)
        client = MlflowClient(tracking_uri=address, registry_uri=address)
        client.search_experiments(max_results=1)
    return client


@contextmanager
def mlflow_errors(what: str) -> Iterator[None]:
    """Turn MLflow's errors into ours; `what` names the thing asked for."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except AlphamillError:
        raise
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise NotFound(f"{masked(what)}: {error.message}") from error
        if error.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS"):
            raise InvalidConfig(f"{masked(what)}: {error.message}") from error
        raise _unavailable(what, error) from without_secret(error, what)
    except (OSError, SQLAlchemyError) as error:
        raise _unavailable(what, error) from without_secret(error, what)


def root_uri(root: Path | str) -> str:
    """A folder as a ``file://`` URI; any other URI as it is, without a trailing slash."""
    text = str(root)
    return text.rstrip("/") if "://" in text else Path(text).resolve().as_uri()


def _probe(tracking_uri: str) -> None:
    if urlsplit(tracking_uri).scheme in ("http", "https"):
        import httpx

        parts = urlsplit(tracking_uri)
        user = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        try:
            # Apart from the address: httpx quotes that in its errors.
            health = f"{_without_user(tracking_uri).rstrip('/')}/health"
            httpx.get(health, auth=user, timeout=_PROBE_SECS).raise_for_status()
        except httpx.HTTPError as error:
            raise _unavailable(tracking_uri, error) from error
        if user:
            # MLflow's own way to take them; in its errors it quotes the address as well.
            environment.default({"MLFLOW_TRACKING_USERNAME": user[0], "MLFLOW_TRACKING_PASSWORD": user[1]})
        return
    from sqlalchemy import create_engine, exc, make_url

    try:
        url = make_url(tracking_uri)
        if url.get_backend_name() == "sqlite" and url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url)
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
        engine.dispose()
    except (exc.ArgumentError, exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise InvalidConfig(
            f"{masked(tracking_uri)!r} is no tracking URI: {without_secret(error, tracking_uri)}",
            field="mlflow_tracking_uri",
            remedy="Give sqlite:///<file>, a PostgreSQL URL or the address of an MLflow server.",
        ) from without_secret(error, tracking_uri)
    except (OSError, exc.SQLAlchemyError) as error:
        raise _unavailable(tracking_uri, error) from without_secret(error, tracking_uri)


def _without_user(tracking_uri: str) -> str:
    """The address of a server without user and password; another URI as it is."""
    parts = urlsplit(tracking_uri)
    if parts.scheme not in ("http", "https"):
        return tracking_uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _unavailable(what: str, error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"MLflow store {masked(what)}: {without_secret(error, what)}",
        field="mlflow_tracking_uri",
        remedy="Check that the file is writable or that the server runs.",
    )


def _quiet_mlflow() -> None:
    """Before MLflow's import: no usage reports over the network, no links, progress bars, INFO lines or
    warnings about its own code."""
    import logging
    import warnings

    environment.default(
        {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "MLFLOW_LOGGING_LEVEL": "WARNING",
        }
    )
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # mlflow 3.17 maps its tables with a loader that SQLAlchemy 2.1 deprecates; no user of ours can mend that.
    warnings.filterwarnings("ignore", "The ``noload`` loader strategy is deprecated")
