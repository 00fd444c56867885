#!/bin/sh
# setup.sh PYTHON EXTRAS STAMP: makes .venv with exactly the versions of constraints.txt. Two calls at once wait for each other.
set -eu
python="$1"
extras="$2"
stamp="$3"

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    for candidate in python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null 2>&1; then python="$candidate"; break; fi
    done
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "opsnb needs Python 3.11 or newer; '$1' is not. Name one: make PYTHON=/path/to/python3.12" >&2
    exit 2
fi
if command -v flock >/dev/null 2>&1 && [ -z "${OPSNB_SETUP_LOCKED:-}" ]; then
    OPSNB_SETUP_LOCKED=1 exec flock .ci/setup.sh sh .ci/setup.sh "$python" "$extras" "$stamp"
fi
if [ -e "$stamp" ] && [ "$stamp" -nt pyproject.toml ] && [ "$stamp" -nt constraints.txt ]; then
    exit 0
fi
echo "Setting up .venv ($("$python" --version)); this takes a minute or two the first time." >&2
[ -x .venv/bin/python ] || "$python" -m venv .venv
# an older pip cannot read the metadata of some packages and calls that a conflict
.venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25'
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extras]"
touch "$stamp"
