#!/usr/bin/env bash
# Resolves pyproject.toml into requirements.lock, keeping the versions it has; --check only compares.
# Without find-links: the lock must stand on the registry alone, also where a CPU wheel of torch lies at hand.
set -euo pipefail
cd "$(dirname "$0")/.."
unset UV_FIND_LINKS
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
cp requirements.lock "$fresh/lock"
if ! .venv/bin/uv pip compile pyproject.toml --all-extras --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
  --no-header --no-annotate --quiet -o "$fresh/lock" 2>"$fresh/errors"; then
  cat "$fresh/errors" >&2
  if [[ ${1:-} == --check ]] && grep -qiE "failed to fetch|connect|dns|timed out|offline" "$fresh/errors"; then
    echo "requirements.lock was NOT checked: the package registry does not answer." >&2
    exit 0
  fi
  exit 1
fi
if [[ ${1:-} == --check ]]; then
  diff -u requirements.lock "$fresh/lock" || { echo "requirements.lock is not what pyproject.toml asks for: run scripts/lock.sh" >&2; exit 1; }
  echo "requirements.lock matches pyproject.toml."
else
  cp "$fresh/lock" requirements.lock
fi
