#!/usr/bin/env bash
# Finds Python 3.11 and hands over to setup.py, which needs nothing but that.
set -euo pipefail
cd "$(dirname "$0")/.."

is_311() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; }

for candidate in ${PYTHON:-} python3.11 python3 python; do
  if is_311 "$candidate"; then exec "$candidate" scripts/setup.py "$@"; fi
done
echo "Alphamill needs Python 3.11 and found none (tried: ${PYTHON:-} python3.11 python3 python)." >&2
echo "Install it, or name it: make demo PYTHON=/path/to/python3.11" >&2
exit 1
