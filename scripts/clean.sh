#!/usr/bin/env bash
# .alphamill holds embedded state: `alphamill doctor` says whether something still runs on it.
set -euo pipefail
cd "$(dirname "$0")/.."
rm -rf .alphamill build dist htmlcov .coverage .coverage.* local_outputs .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
find . -name .venv -prune -o -type d -name __pycache__ -exec rm -rf {} +
