"""Ray for the length of a block, on this machine or as a client of a cluster."""

import contextlib
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from alphamill.embedded.watch import descendants

#: Set while Ray runs: no usage reports over the network, no tables on stdout, no result files per trial; Ctrl-C
#: ends a search at once instead of returning half of it; a failed trial may report without its metric.
_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "OMP_NUM_THREADS": "1",
}

_OBJECT_STORE_BYTES = 200 * 1024**2

#: A shell that waits for a line. An end of file instead means that the driver died without a word: then Ray's
#: own processes are ended, which follow the driver only in part (its agents hang on for a minute).
_MOURNER = 'read -r line && exit 0; kill -9 "$@" 2>/dev/null; rm -rf "$0"'


@contextlib.contextmanager
def ray_session(address: str | None, cpus: int) -> Iterator[None]:
    """Ray for the length of a block.

    Parameters
    ----------
    address
        A running cluster to join; None starts Ray here with `cpus` CPUs. A local Ray leaves neither process nor
        file behind, however the block or this process ends, SIGKILL included. It is tied to the calling thread:
        enter from one that outlives the block. Inside another session nothing is started.
    """
    with _environment():
        import ray

        if ray.is_initialized():
            yield
            return
        with contextlib.ExitStack() as stack:
            if address is None:
                stack.enter_context(_local(cpus))
            else:
                stack.callback(ray.shutdown)
                ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
            logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
            yield


@contextlib.contextmanager
def _local(cpus: int) -> Iterator[None]:
    import ray

    before = set(descendants(os.getpid()))
    # Unix socket paths are short of room, so the folder goes straight under /tmp.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp" if Path("/tmp").is_dir() else None)
    try:
        ray.init(
            include_dashboard=False,
            num_cpus=cpus,
            num_gpus=0,
            object_store_memory=_OBJECT_STORE_BYTES,
            _temp_dir=folder,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
        with _mourned(folder, sorted(set(descendants(os.getpid())) - before)):
            yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _mourned(folder: str, pids: list[int]) -> Iterator[None]:
    """While the block runs, the death of this process is followed by that of `pids` and the loss of `folder`."""
    command = ["/bin/sh", "-c", _MOURNER, folder, *map(str, pids)]
    mourner = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            mourner.communicate(b"done\n", timeout=10)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
