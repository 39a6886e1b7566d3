#!/usr/bin/env bash
# Measures every benchmark and writes docs/benchmarks.md; names run only those.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh
exec .venv/bin/python -m benchmarks "$@"
