"""Makes .venv as requirements.lock says; a second call is instant, an interrupted one heals.

Runs on a bare Python 3.11: standard library only.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# By path: their packages import what is not installed yet.
GUARD = runpy.run_path(str(ROOT / "src" / "alphamill" / "runtimes" / "embedded" / "guard.py"))
PARENT = runpy.run_path(str(ROOT / "src" / "alphamill" / "cli" / "parent.py"))

UV = "uv==0.13.9"
EXTRAS = "embedded,cluster,pipeline,trainer,forecaster,serving,bench,dev"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "setup.json"
LOCK = ROOT / "requirements.lock"


def wanted() -> str:
    """Hash of everything that decides what belongs into .venv; tool settings in pyproject do not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    parts = {key: project[key] for key in ("build-system", "project")} | {"hatch": project["tool"]["hatch"]}
    text = json.dumps(parts, sort_keys=True) + LOCK.read_text() + UV + EXTRAS + str(ROOT)
    return hashlib.sha256(text.encode()).hexdigest()


def stamped() -> str | None:
    try:
        found = json.loads(STAMP.read_text())["hash"]
        return found if PYTHON.exists() else None
    except (OSError, ValueError, KeyError):
        return None


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    """Run to the end in a process group of its own; on any way out of here the whole group is gone."""
    own = os.getpid()
    child = subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=lambda: GUARD["die_with_parent"](own),
    )
    try:
        status = child.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if status:
        print(f"Set-up failed: {' '.join(map(str, command))} (exit {status}).", file=sys.stderr)
        print("Mend what the lines above name (network, disk space, index) and call make again.", file=sys.stderr)
        sys.exit(1)


def uv_environment() -> dict[str, str]:
    """uv does not read pip's settings: hand on its index and wheel folder, unless uv has its own."""
    env = dict(os.environ, VIRTUAL_ENV=str(VENV))
    for theirs, ours in (("find-links", "UV_FIND_LINKS"), ("index-url", "UV_DEFAULT_INDEX")):
        if not env.get(ours):
            env.pop(ours, None)
            asked = subprocess.run(
                [PYTHON, "-m", "pip", "config", "get", f"global.{theirs}"], capture_output=True, text=True, check=False
            )
            value = env.get("PIP_" + theirs.replace("-", "_").upper()) or asked.stdout.strip()
            if value:
                env[ours] = value
    return env


def install() -> None:
    if VENV.exists() and stamped() is None:
        print("The last set-up was not finished: starting afresh.")
        shutil.rmtree(VENV)
    if not PYTHON.exists():
        run(sys.executable, "-m", "venv", VENV)
    STAMP.unlink(missing_ok=True)
    run(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV)
    # Constraints (-c), not requirements (-r): the lock names the CUDA packages of the registry's torch, which are
    # installed only if that torch is; with a CPU wheel at hand they would be gigabytes for nothing.
    # Bytecode now: the first cold import of feast and mlflow takes half a minute without.
    uv = [VENV / "bin" / "uv", "pip", "install", "--python", PYTHON, "--compile-bytecode", "-c", LOCK]
    run(*uv, "-e", f".[{EXTRAS}]", env=uv_environment())


def main() -> None:
    # Exceptions, not a sudden death: `run` then ends the children it waits for.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    PARENT["exit_with_parent"]()
    with LOCK.open() as turn:  # two calls at once take turns
        fcntl.flock(turn, fcntl.LOCK_EX)
        if stamped() == wanted():
            return
        print("Setting up .venv (once; about a minute with a warm cache) ...", flush=True)
        started = time.monotonic()
        install()
        STAMP.write_text(json.dumps({"hash": wanted()}))
        print(f"Set-up done in {time.monotonic() - started:.0f} s.", flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("Set-up stopped; the next call starts it afresh.", file=sys.stderr)
        sys.exit(130)
