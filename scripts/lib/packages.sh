# shellcheck shell=bash
# The right Python and Debian packages. Shared by scripts/prepare, install and upgrade.

# What runs apt-get: nothing for root, else sudo.
as_root=()

# fail LINE...: say why this script ends, and end it.
fail() {
    printf 'scripts/%s: %s\n' "$(basename "$0")" "$1" >&2
    shift
    (($#)) && printf '    %s\n' "$@" >&2
    exit 1
}

require_64_bits() {
    case "$(uname -m) $(getconf LONG_BIT)" in
        "x86_64 64" | "aarch64 64") ;;
        *) fail "this is a $(getconf LONG_BIT)-bit system on $(uname -m)" \
            "recorderd needs a 64-bit one on x86-64 or ARM (on a Raspberry Pi: Raspberry Pi OS 64-bit)" ;;
    esac
}

find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
            2>/dev/null; then
            printf '%s\n' "$name"
            return
        fi
    done
    return 1
}

has_venv() {
    "$(find_python)" -c 'import ensurepip, venv'
}

has_python_headers() {
    "$(find_python)" -c '
import pathlib, sys, sysconfig
sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())'
}

# need PACKAGE COMMAND...: the package is missing unless the command succeeds.
need() {
    local package=$1
    shift
    if ! "$@" >/dev/null 2>&1; then
        missing+=("$package")
    fi
}

need_python() {
    need python3 find_python
    need python3-venv has_venv
}

# Three Python packages (evdev, systemd-python, zbar-py) are compiled.
need_compiler() {
    need python3-dev has_python_headers
    need gcc command -v gcc
    need libc6-dev test -e /usr/include/linux/input.h
    need pkg-config command -v pkg-config
    need libsystemd-dev pkg-config --exists libsystemd
}

# apt_install NAME...: as root, or through the command in the array as_root.
apt_install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o Dpkg::Use-Pty=0 install --no-install-recommends "$@" >/dev/null
}
