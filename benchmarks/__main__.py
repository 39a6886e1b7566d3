"""`python -m benchmarks`: every benchmark in a process of its own, one after the other, then the page.

`--page` only writes the page again, as after a change of prose. Names run only those and keep the other results.
"""

import argparse
import os
import subprocess
import sys

from alphamill.cli.parent import EXIT_WITH_PARENT, exit_with_parent
from benchmarks.page import BENCHMARKS, PAGE, RESULTS, ROOT, page

LIMIT_SECS = 300


def main() -> int:
    """Exit code 0; 1 if a benchmark fails. A missed aim is no failure: it stands on the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--page", action="store_true", help="measure nothing")
    options = parser.parse_args()
    exit_with_parent()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(BENCHMARKS)}")
    failed = [] if options.page else [name for name in options.names or BENCHMARKS if not _run(name)]
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}; {PAGE.name} stays as it was.\n")
        return 1
    PAGE.write_text(page())
    sys.stdout.write(f"wrote {PAGE.relative_to(ROOT)}\n")
    return 0


def _run(name: str) -> bool:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(RESULTS / f"{name}.json")]
    env = {**os.environ, EXIT_WITH_PARENT: str(os.getpid())}
    try:
        return subprocess.run(command, cwd=ROOT, env=env, timeout=LIMIT_SECS, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"{name} took more than {LIMIT_SECS} s.\n")
        return False


if __name__ == "__main__":
    sys.exit(main())
