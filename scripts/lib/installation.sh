# shellcheck shell=bash
# What scripts/install, scripts/upgrade and scripts/uninstall know in common: where things lie,
# how a release is made, and how the services are told.
# shellcheck disable=SC2034 # names that only the scripts use which source this

# No folder of a person's own: what root runs must be the system's.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022

account=recorderd
program=/opt/recorderd
releases=$program/releases
current=$program/current
command=/usr/local/bin/recorderd
settings=/etc/recorderd/recorderd.toml
state=/var/lib/recorderd
run=/run/recorderd
units=/usr/local/lib/systemd/system
device_rules=/etc/udev/rules.d/70-recorderd.rules
port_setting=/etc/systemd/system/recorderd-web.socket.d/port.conf
interrupted=$program/upgrade-from
services=(recorderd.service recorderd-finisher.service recorderd-web.service)
ready_seconds=60

# shellcheck source=scripts/lib/packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

say() {
    printf '%s\n' "$@"
}

step() {
    printf '\n* %s\n' "$1"
}

note() {
    printf '    %s\n' "$@"
}

# help: the comment at the beginning of the script that was called.
help() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$script"
}

require_root() {
    ((EUID == 0)) || fail "this needs the rights of root" "sudo scripts/$(basename "$0")"
}

# One at a time; the lock ends with this process.
lock() {
    mkdir -p /run/lock
    exec 9>/run/lock/recorderd-installation
    flock --nonblock 9 || fail "another installation, upgrade or removal is going on" \
        "wait until it has ended"
}

# confirm YES: go on only if a person agrees, or has agreed by --yes.
confirm() {
    local answer
    [[ $1 != yes ]] || return 0
    [[ -t 0 ]] || fail "nobody is there to be asked" "add --yes to go on without asking"
    read -r -p "Go on? [y/N] " answer
    [[ $answer == [yY]* ]] || fail "nothing was changed"
}

systemd_runs() {
    [[ -d /run/systemd/system ]]
}

# Releases ----------------------------------------------------------------------------

# From here on the working folder is the repository.
script="$(realpath "$0")"
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

python_version() {
    "$(find_python)" -c 'import sys; print("%d.%d" % sys.version_info[:2])'
}

# The version, and a stamp of all that goes into a release: the same sources are the same release.
release_name() {
    local version stamp
    version="$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)"
    stamp="$(
        {
            python_version
            find pyproject.toml config systemd recorderd scripts/lib -type f \
                -not -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum
        } | sha256sum | cut -c 1-12
    )"
    printf '%s-%s\n' "$version" "$stamp"
}

# The release that is in use, or nothing.
current_release() {
    [[ -e $current/complete ]] && basename "$(readlink -f "$current")"
}

# point_to LINK TARGET: at any instant the link leads to the old or the new place.
point_to() {
    ln -sfn "$2" "$1.new"
    mv -T "$1.new" "$1"
    sync -f "$(dirname "$1")"
}

# make_release NAME [WHEELS]: a virtual environment that is never changed afterwards.
make_release() {
    local release=$releases/$1 wheels=${2-}
    if [[ -e $release/complete ]]; then
        note "already in place"
        return
    fi
    rm -rf "$release"
    mkdir -p "$releases"
    "$(find_python)" -m venv "$release"
    local sources pip=("$release/bin/python" -m pip --quiet --disable-pip-version-check --no-cache-dir)
    if [[ -n $wheels ]]; then
        "${pip[@]}" install --no-index --find-links "$wheels" --require-hashes \
            -r "$wheels/requirements.lock"
    else
        "${pip[@]}" install --require-hashes -r config/requirements-build.lock
        "${pip[@]}" install --require-hashes --no-build-isolation --use-pep517 \
            -r "$(requirements)"
    fi
    # Building leaves files beside the sources; these are not ours to change.
    sources="$(mktemp -d)"
    cp -r pyproject.toml README.md LICENSE recorderd "$sources"
    "${pip[@]}" install --no-index --no-deps --no-build-isolation "$sources"
    if needs_debian_lgpio; then
        link_lgpio "$release"
    fi
    cp -r README.md config systemd "$release"
    "$release/bin/recorderd" --version >/dev/null
    # It makes a pipe in the folder that it is started in.
    (cd "$sources" && "$release/bin/python" -c 'import lgpio') ||
        fail "the library for GPIO pins does not work (see above)"
    rm -rf "$sources"
    sync -f "$release"
    touch "$release/complete"
    sync -f "$release"
}

# The library for GPIO pins comes from PyPI, but for Python 3.13, where only Debian has it.
needs_debian_lgpio() {
    [[ $(python_version) == 3.13 ]]
}

# The lock with what a station needs.
requirements() {
    if needs_debian_lgpio; then
        echo config/requirements.lock
    else
        echo config/requirements-gpio.lock
    fi
}

# A virtual environment does not see Debian's Python packages.
link_lgpio() {
    local file packages
    packages="$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')"
    for file in /usr/lib/python3/dist-packages/{lgpio.py,_lgpio*.so}; do
        ln -s "$file" "$packages"
    done
}

# Everything but these releases goes.
remove_other_releases() {
    local release keep
    for release in "$releases"/*/; do
        release="$(basename "$release")"
        for keep in "$@"; do
            [[ $release != "$keep" ]] || continue 2
        done
        rm -rf "${releases:?}/$release"
    done
}

# Services ----------------------------------------------------------------------------

# replace FILE TARGET: in one step; says whether anything was changed by its exit code.
replace() {
    cmp --quiet "$1" "$2" && return 1
    install -D -m 644 "$1" "$2.new"
    mv "$2.new" "$2"
}

systemd_version() {
    systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p'
}

# install_units RELEASE: its units and device rules; systemd hears of what has changed.
install_units() {
    local file target changed=
    for file in "$1"/systemd/*.{service,socket,target}; do
        replace "$file" "$units/$(basename "$file")" && changed=yes
    done
    for file in "$1"/systemd/since-254/*/*.conf; do
        # systemd 252 of Debian 12 would complain about what it does not know.
        (($(systemd_version) >= 254)) || continue
        target=$units/$(basename "$(dirname "$file")")/$(basename "$file")
        replace "$file" "$target" && changed=yes
    done
    replace "$1/systemd/70-recorderd.rules" "$device_rules" && changed=yes
    if [[ -z $changed ]]; then
        note "already in place"
    elif systemd_runs; then
        systemctl daemon-reload
        udevadm control --reload
        udevadm trigger --subsystem-match=gpio --subsystem-match=dma_heap
    fi
}

# wait_until_ready: whether the station says within a minute that all is there (READY=1).
wait_until_ready() {
    timeout "$ready_seconds" systemctl start recorderd.service
}
