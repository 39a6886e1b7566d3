"""Ray for the length of a block, on this machine or as a client of a cluster."""

import contextlib
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from alphamill import environment
from alphamill.processes import descendants

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

#: A shell that reads process ids until the line `done`. An end of file instead means that the driver died without a
#: word: then Ray's own processes are ended, which follow the driver only in part (its agents and workers that were
#: just starting hang on for a minute): those it was told of, and those whose command line names Ray's folder.
_MOURNER = """
exec 2>/dev/null
while read -r line; do
  [ "$line" = done ] && exit 0
  pids="$pids $line"
done
kill -9 $pids
for process in /proc/[0-9]*; do
  [ "$process" != "/proc/$$" ] && grep -qF "$0" "$process/cmdline" && kill -9 "${process#/proc/}"
done
for again in 1 2 3 4 5; do rm -rf "$0" && exit 0; sleep 1; done
"""


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
    with environment.variables(_ENVIRONMENT):
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


def warm_up(imports: Callable[[], None], processes: int) -> None:
    """Have idle processes of Ray run `imports`, and do not wait: what comes next runs in them and finds it done."""
    import ray

    for _ in range(processes):
        ray.remote(num_cpus=1)(imports).remote()


@contextlib.contextmanager
def _local(cpus: int) -> Iterator[None]:
    import ray

    # Unix socket paths are short of room, so the folder goes straight under /tmp.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp" if Path("/tmp").is_dir() else None)
    try:
        with _mourned(folder) as tell, contextlib.ExitStack() as stack:
            before = set(descendants(os.getpid()))
            stack.callback(ray.shutdown)
            ray.init(
                include_dashboard=False,
                num_cpus=cpus,
                num_gpus=0,
                object_store_memory=_OBJECT_STORE_BYTES,
                _temp_dir=folder,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
            tell(sorted(set(descendants(os.getpid())) - before))
            yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _mourned(folder: str) -> Iterator[Callable[[list[int]], object]]:
    """While the block runs, the death of this process is followed by that of Ray's and the loss of `folder`.

    Yields a function that takes the ids of processes whose command line does not name `folder`.
    """
    mourner = subprocess.Popen(
        ["/bin/sh", "-c", _MOURNER, folder], stdin=subprocess.PIPE, start_new_session=True, text=True, bufsize=1
    )
    assert mourner.stdin is not None
    pipe = mourner.stdin
    try:
        yield lambda pids: pipe.write("".join(f"{pid}\n" for pid in pids))
    finally:
        with contextlib.suppress(BrokenPipeError):
            mourner.communicate("done\n", timeout=10)
