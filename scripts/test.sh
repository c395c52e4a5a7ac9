#!/usr/bin/env bash
# Lint, types and every test, the graphical ones on virtual screens, by as many workers as there are cores. Arguments go to pytest.
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

unset PYTHONDONTWRITEBYTECODE # or every worker, and each of the processes that tests start, compiles all modules anew
install_screen
install_package lint,qt,test
.venv/bin/ruff check
.venv/bin/ruff format --check
types=$(mktemp)
.venv/bin/mypy >"$types" 2>&1 & # while tests wait for something, there is time for it
mypy=$!
trap 'kill "$mypy" 2>/dev/null || true; rm -f "$types"' EXIT
tests=0
.venv/bin/pytest --numprocesses logical "$@" || tests=$?
wait "$mypy" || { tests=$? && cat "$types"; }
exit "$tests"
