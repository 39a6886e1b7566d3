"""Runs a Kubeflow pipeline on this machine with `kfp.local`, in a process group of its own.

kfp.local rewires logging and `print` and cannot stop a step, so it runs in a child
(``python -m alphamill.adapters.kfp.local RUN_DIR``). The child leads a process group and holds the reading end of
a pipe: when the caller ends, however it ends, the pipe breaks and the group kills itself.
"""

import contextlib
import datetime as dt
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from alphamill import environment, errors
from alphamill.domain.pipelines import PipelineRun
from alphamill.ports import Clock

POLL_SECS: Final = 0.5
JOB: Final = "job.json"
RESULT: Final = "result.json"
ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")
FAILED_TASK: Final = re.compile(r"Inner task failed: '([^']+)'")
UNCLEAR_CONDITION: Final = re.compile(r"^WARNING:root:(?:Could not resolve|Condition evaluation failed).*$", re.M)
RAISED: Final = re.compile(r"^\s*(?:\[KFP[^\]]*\]\s*)?([A-Za-z_][\w.]*): (.*)$")


class LocalPipelines:
    """The `Pipelines` port on this machine: one run at a time, each in a process group of its own.

    Parameters
    ----------
    home
        Runs leave their log and artifacts in ``<home>/pipelines/<name>-<time>``.
    clock
        Names the runs.
    env
        The whole environment of the steps, e.g. from `environment.child_environment`.
    """

    def __init__(self, home: Path, clock: Clock, env: Mapping[str, str]) -> None:
        self._home, self._clock, self._env = home, clock, env

    def run(self, pipeline: str, arguments: Mapping[str, Any], *, progress: Path | None = None) -> PipelineRun:
        """See `ports.Pipelines` and `run_pipeline`."""
        name = pipeline.rpartition(":")[2].replace("_", "-")
        run_dir = new_run_dir(self._home, name, self._clock.now())
        told = {} if progress is None else {environment.PROGRESS_FILE: str(progress)}
        return run_pipeline(pipeline, arguments, run_dir, env={**self._env, **told})


def new_run_dir(home: Path, name: str, at: dt.datetime) -> Path:
    """Make ``<home>/pipelines/<name>-<at>``; `at` is now, UTC."""
    run_dir = home.resolve() / "pipelines" / f"{name}-{at:%Y%m%dT%H%M%S%f}"
    run_dir.mkdir(parents=True)
    return run_dir


def progress_file(run_dir: Path) -> Path:
    """Where the steps of this run report their progress."""
    return run_dir / "progress.jsonl"


def run_pipeline(
    pipeline: str, arguments: Mapping[str, Any], run_dir: Path, *, env: Mapping[str, str] | None = None
) -> PipelineRun:
    """Run to the end and return what the steps gave out.

    Parameters
    ----------
    pipeline
        ``package.module:function``, or the path of a compiled YAML file.
    run_dir
        From `new_run_dir`; gets the log, the progress and ``artifacts/``.
    env
        The whole environment of the steps, e.g. from `environment.child_environment`; this process's own when None.
        Their progress goes to `progress_file` unless it names another file.

    Raises
    ------
    AlphamillError
        A step failed: of the class that the step raised (`AlphamillError` itself if it raised another), naming
        the step, the step's own last error line and the log.
    """
    (run_dir / JOB).write_text(json.dumps({"pipeline": pipeline, "arguments": dict(arguments)}))
    log = run_dir / "pipeline.log"
    steps = {
        environment.PROGRESS_FILE: str(progress_file(run_dir)),
        **(environment.inherited({}) if env is None else env),
    }
    with log.open("wb") as file, _Group(run_dir, file.fileno(), steps) as child:
        _wait(child)
    result = _result(run_dir)
    if "error" in result or child.returncode:
        raise _failure(pipeline, str(result.get("error", "")), log)
    if unclear := UNCLEAR_CONDITION.search(log.read_text(errors="replace")):
        # kfp.local takes such a condition for false and goes on.
        raise errors.AlphamillError(f"pipeline {pipeline}: {unclear.group()}", remedy=f"The whole log: {log}")
    return PipelineRun(run_dir, log, _step_outputs(run_dir / "artifacts"))


class _Group:
    """The child process; on any way out its whole group is gone."""

    def __init__(self, run_dir: Path, log: int, env: dict[str, str]) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-m", __name__, str(run_dir)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=env,
        )

    def __enter__(self) -> "subprocess.Popen[bytes]":
        return self.child

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):  # every member ended by itself
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        if self.child.stdin is not None:
            self.child.stdin.close()


def _wait(child: "subprocess.Popen[bytes]") -> None:
    """Until it ends. In short turns: polars has the kernel restart a wait that Ctrl-C breaks (SA_RESTART)."""
    while child.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(POLL_SECS)


def _result(run_dir: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((run_dir / RESULT).read_text())
    except FileNotFoundError:
        return {"error": "it ended without a result"}
    return content


def _failure(pipeline: str, error: str, log: Path) -> errors.AlphamillError:
    """The error of the step, as the class it was raised with."""
    found = FAILED_TASK.search(error)
    where = f"step {found.group(1)}" if found else f"pipeline {pipeline}"
    name, message = _last_raised(log) if found else ("", error)
    module, _, bare = name.rpartition(".")
    kind = getattr(errors, bare, None) if module == errors.__name__ else None
    if not (isinstance(kind, type) and issubclass(kind, errors.AlphamillError)):
        kind, message = errors.AlphamillError, f"{name}: {message}" if name else message
    return kind(f"{where} failed: {message}", field=where, remedy=f"The whole log: {log}")


def _last_raised(log: Path) -> tuple[str, str]:
    """Class and message of the exception that ended the last step of the log."""
    lines = [ANSI.sub("", line).rstrip() for line in log.read_text(errors="replace").splitlines()]
    started = max(n for n, line in enumerate(lines) if " - INFO - Executing task " in line)
    trace = [n for n, line in enumerate(lines) if line.strip() == "Traceback (most recent call last):" and n > started]
    for line in reversed(lines[trace[-1] :] if trace else []):
        match = RAISED.match(line)
        if match and (match.group(1).endswith(("Error", "Exception", "Interrupt")) or "." in match.group(1)):
            return match.group(1), match.group(2)
    return "", "it ended without an exception: it was killed, ran out of memory or crashed."


def _step_outputs(artifacts: Path) -> dict[str, dict[str, Any]]:
    """Output parameters by step, from the file each step's executor leaves behind."""
    outputs: dict[str, dict[str, Any]] = {}
    for file in sorted(artifacts.rglob("executor_output.json"), key=lambda path: path.stat().st_mtime):
        outputs[file.parent.name] = json.loads(file.read_text()).get("parameterValues", {})
    return outputs


def _end_group_without_caller() -> None:
    """The caller never writes: reading ends when its end of the pipe is closed by its death."""
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


def _load(pipeline: str) -> Any:
    if pipeline.endswith((".yaml", ".yml")):
        from kfp.components import load_component_from_file

        return load_component_from_file(pipeline)
    module, _, attribute = pipeline.partition(":")
    return getattr(importlib.import_module(module), attribute)


def main(run_dir: Path) -> int:
    """The child: run the job in `run_dir` and leave `RESULT` there."""
    threading.Thread(target=_end_group_without_caller, name="caller-watch", daemon=True).start()
    from kfp import local

    job = json.loads((run_dir / JOB).read_text())
    result: dict[str, Any] = {}
    try:
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(run_dir / "artifacts"))
        _load(job["pipeline"])(**job["arguments"])
    except Exception as error:  # whatever it is, the caller raises it as its own
        result["error"] = ANSI.sub("", f"{error}") or type(error).__name__
    (run_dir / RESULT).write_text(json.dumps(result))
    return 1 if result else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
