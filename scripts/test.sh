#!/usr/bin/env bash
# Two workers; the tests of one module stay together, so its services start once. Coverage is that of all tests:
# with arguments, which choose some of them, it would say nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh
if [[ $# -eq 0 ]]; then set -- --cov --cov-report=term-missing:skip-covered; fi
exec .venv/bin/python -m pytest -n 2 --dist loadscope "$@"
