#!/usr/bin/env bash
# Two workers; the tests of one module stay together, so its services start once.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh
exec .venv/bin/python -m pytest -n 2 --dist loadscope --cov --cov-report=term-missing:skip-covered "$@"
