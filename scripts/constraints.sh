#!/usr/bin/env bash
# Writes constraints.txt: the newest versions that fit together, of all that the package and its extras need, for every Python and system.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
file=constraints.txt
found=$(mktemp)
trap 'rm -f "$found"' EXIT
.venv/bin/uv pip compile --quiet --universal --upgrade --no-annotate --no-header --no-emit-index-url --all-extras pyproject.toml >"$found"
{
  echo "# The versions that the tests passed with, for every Python and system:"
  echo "#   PIP_CONSTRAINT=constraints.txt UV_CONSTRAINT=constraints.txt bash scripts/test.sh"
  echo "# Made by scripts/constraints.sh; torch and what it needs for a GPU are left to scripts/install.py."
  grep --extended-regexp --invert-match "^(nvidia|cuda|triton|torch==)" "$found"
} >"$file"
