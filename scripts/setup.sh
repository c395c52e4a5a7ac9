# shellcheck shell=bash
# What demo.sh and test.sh share; sourced by them. Leaves the shell in the repository's root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "$*" >&2; }

# install_packages NAME...: Debian packages, as root or through sudo, or one line that says what to install.
install_packages() {
    [ $# -gt 0 ] || return 0
    local as_root=()
    if ! command -v apt-get >/dev/null; then
        say "Please install what these Debian packages hold, then run this again: $*"
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null || ! { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
            say "Please run this, then try again: sudo apt-get install --yes $*"
            exit 1
        fi
        as_root=(sudo)
    fi
    say "Installing system packages: $*"
    "${as_root[@]}" apt-get update -qq >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends -qq "$@" </dev/null >&2
}

# A virtual screen, and the libraries that Qt's own wheels expect of the system: each file and the package that has it.
install_screen() {
    [ "$(uname)" = Linux ] || return 0
    local missing=() pair loadable
    loadable=$(/sbin/ldconfig -p)
    command -v Xvfb >/dev/null || missing+=(xvfb)
    for pair in libEGL.so.1=libegl1 libGL.so.1=libgl1 libglib-2.0.so.0=libglib2.0-0 libdbus-1.so.3=libdbus-1-3 \
        libfontconfig.so.1=libfontconfig1 libxkbcommon-x11.so.0=libxkbcommon-x11-0 libxcb-cursor.so.0=libxcb-cursor0 \
        libxcb-icccm.so.4=libxcb-icccm4 libxcb-keysyms.so.1=libxcb-keysyms1 libxcb-shape.so.0=libxcb-shape0 \
        libxcb-xkb.so.1=libxcb-xkb1 libxcb-randr.so.0=libxcb-randr0; do
        grep -qF "${pair%%=*} " <<<"$loadable" || missing+=("${pair#*=}")
    done
    install_packages "${missing[@]}"
}

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    say "Python 3.11 or newer is needed, and no python3 on the PATH is."
    exit 1
}

# install_package EXTRAS: the package, editable, into .venv; nothing is done again until pyproject.toml changes.
install_package() {
    local stamp=".venv/installed-${1:-core}" python
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        python=$(find_python)
        if ! "$python" -c 'import ensurepip' 2>/dev/null; then
            install_packages python3-venv
        fi
        "$python" -m venv --clear .venv
    fi
    [ "$stamp" -nt pyproject.toml ] && return
    say "Installing into .venv (some minutes the first time) ..."
    .venv/bin/python scripts/install.py --quiet --disable-pip-version-check --editable ".${1:+[$1]}"
    touch "$stamp"
}
