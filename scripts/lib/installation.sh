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

# path_from_caller PATH: what he means by it, in the folder that he called the script from.
path_from_caller() {
    (cd "$OLDPWD" && realpath "$1")
}

systemd_runs() {
    [[ -d /run/systemd/system ]]
}

# Checks: nothing is changed here ------------------------------------------------------

check_machine() {
    require_64_bits
    local model
    model="$(tr -d '\0' 2>/dev/null </proc/device-tree/model || true)"
    case "$(uname -m):$model" in
        x86_64:*) machine="a PC" ;;
        aarch64:"Raspberry Pi 4"* | aarch64:"Raspberry Pi 5"* | \
            aarch64:"Raspberry Pi Compute Module "[45]*) machine="a $model" ;;
        aarch64:) machine="an image for a Raspberry Pi" ;;
        *) fail "this is a $model, which recorderd was not made for" \
            "use a Raspberry Pi 4 or 5, or a PC" ;;
    esac
    local ID='' VERSION_ID='' PRETTY_NAME="an unknown system"
    # shellcheck source=/dev/null
    source /etc/os-release
    case "$ID $VERSION_ID" in
        "debian 12" | "debian 13" | "ubuntu 24.04") system=$PRETTY_NAME ;;
        *) fail "this is $PRETTY_NAME, which recorderd was not made for" \
            "use Debian 12 or 13, Raspberry Pi OS (64-bit, Bookworm or Trixie) or Ubuntu 24.04" ;;
    esac
    if command -v python3 >/dev/null && ! find_python >/dev/null; then
        fail "this is $(python3 --version), and recorderd needs Python 3.11, 3.12 or 3.13" \
            "use the Python that belongs to this system: apt-get install --reinstall python3-minimal"
    fi
    command -v systemctl >/dev/null || fail "there is no systemd here, which runs the services" \
        "apt-get install systemd-sysv udev"
    systemd_runs || is_image || fail "systemd is not what runs this system" \
        "recorderd's services need it: apt-get install systemd-sysv, then restart the computer"
}

# Not the root folder of the process that runs everything.
is_image() {
    [[ $(stat -Lc %d:%i /) != "$(stat -Lc %d:%i /proc/1/root/. 2>/dev/null)" ]]
}

check_wheels() {
    local made_for here
    [[ -e $wheels/made-for ]] || fail "$wheels holds no Python packages for recorderd" \
        "make it on a computer like this one: scripts/install --make-wheels $wheels"
    made_for="$(<"$wheels/made-for")" here="$(kind_of_wheels)"
    [[ $made_for == "$here" ]] || fail \
        "the packages in $wheels are for another Python, computer or release of recorderd" \
        "they are for: $made_for" "this is:      $here" \
        "make them anew: scripts/install --make-wheels DIR"
}

# Everything a folder of wheels must have in common with the machine it is used on.
kind_of_wheels() {
    printf 'Python %s, %s, packages %s\n' "$(python_version)" "$(uname -m)" \
        "$(sha256sum config/requirements-gpio.lock | cut -c 1-12)"
}

check_network() {
    # Who has a proxy or a mirror of his own is believed.
    [[ -z ${https_proxy-}${HTTPS_PROXY-}${PIP_INDEX_URL-} && ! -e /etc/pip.conf ]] || return 0
    timeout 15 bash -c '</dev/tcp/pypi.org/443' 2>/dev/null || fail \
        "pypi.org, where the Python packages come from, does not answer" \
        "check the network, or install without internet: scripts/install --help"
}

check_room() {
    local needed=$1 folder=$2 free
    while [[ ! -d $folder ]]; do
        folder=$(dirname "$folder")
    done
    free=$(($(df --output=avail --block-size=1M "$folder" | tail -n 1)))
    ((free >= needed)) || fail "only $free MB are free on the disk with $folder" \
        "$needed MB are needed: make room there"
}

# Debian packages ---------------------------------------------------------------------

find_missing() {
    missing=()
    need_python
    if [[ -z $wheels ]]; then
        need_compiler
        need_swig
    fi
    # shellcheck disable=SC2016 # for the shell that is started
    need libsystemd0 sh -c 'ldconfig -p | grep -q libsystemd.so.0'
    need avahi-daemon test -x /usr/sbin/avahi-daemon
    need udev command -v udevadm
    if has_graphics_of 0x8086; then # Intel
        need intel-media-va-driver compgen -G '/usr/lib/*/dri/iHD_drv_video.so'
        need libmfx-gen1.2 compgen -G '/usr/lib/*/libmfx-gen.so.1.2'
        need ffmpeg command -v ffmpeg
    fi
    if has_graphics_of 0x1002; then # AMD
        need mesa-va-drivers compgen -G '/usr/lib/*/dri/radeonsi_drv_video.so'
        need ffmpeg command -v ffmpeg
    fi
}

# lgpio, the library for GPIO pins, is ready made for Python up to 3.12; else it is compiled.
need_swig() {
    if [[ $(python_version) == 3.13 || $system == *"GNU/Linux 13"* ]]; then
        need swig command -v swig
    fi
}

# has_graphics_of VENDOR
has_graphics_of() {
    grep -qs "$1" /sys/class/drm/renderD*/device/vendor
}

install_packages() {
    if ((!${#missing[@]})); then
        note "already in place"
        return
    fi
    note "${missing[@]}"
    as_root=()
    apt-get -qq update
    apt_install "${missing[@]}"
    find_missing
    ((!${#missing[@]})) || fail "still missing after apt-get: ${missing[*]}" \
        "install them, then run this again"
}

# Releases ----------------------------------------------------------------------------

# From here on the working folder is the repository.
script="$(realpath "$0")"
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

python_version() {
    "$(find_python || echo false)" -c 'import sys; print("%d.%d" % sys.version_info[:2])'
}

# The version, and a stamp of all that goes into a release: the same sources are the same release.
release_name() {
    local version stamp
    version="$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)"
    stamp="$(
        {
            python_version
            find pyproject.toml README.md LICENSE config systemd recorderd scripts/lib -type f \
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

# pip PYTHON ARGUMENT... With PYPI=1 lgpio brings along what it is compiled from.
pip() {
    PYPI=1 "$1" -m pip --quiet --disable-pip-version-check --no-cache-dir "${@:2}" ||
        fail "the Python packages could not be fetched and built (see above)" \
            "check the network, then run this again; the station is as it was"
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
    local sources python=$release/bin/python
    if [[ -n $wheels ]]; then
        pip "$python" install --no-index --find-links "$wheels" --require-hashes \
            -r "$wheels/requirements.lock"
    else
        pip "$python" install --require-hashes -r config/requirements-build.lock
        pip "$python" install --require-hashes --no-build-isolation --use-pep517 \
            -r config/requirements-gpio.lock
    fi
    # Building leaves files beside the sources; these are not ours to change.
    sources="$(mktemp -d)"
    cp -r pyproject.toml README.md LICENSE recorderd "$sources"
    pip "$python" install --no-index --no-deps --no-build-isolation "$sources"
    cp -r README.md config systemd "$release"
    "$release/bin/recorderd" --version >/dev/null
    # It makes a pipe in the folder that it is started in.
    (cd "$sources" && "$python" -c 'import lgpio') ||
        fail "the library for GPIO pins does not work (see above)"
    rm -rf "$sources"
    sync -f "$release"
    touch "$release/complete"
    sync -f "$release"
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

# as_account COMMAND...: do it as the services would, with what they find in their environment.
as_account() {
    local settings_of_services=()
    if [[ -e /etc/recorderd/environment ]]; then
        mapfile -t settings_of_services < <(
            sed -n "s/^\([A-Za-z_][A-Za-z0-9_]*\)=[\"']\{0,1\}\(.*[^\"']\)[\"']\{0,1\}$/\1=\2/p" \
                /etc/recorderd/environment
        )
    fi
    (cd / && runuser -u "$account" -- env "${settings_of_services[@]}" "$@")
}

# install_units RELEASE: its units and device rules; systemd hears of what has changed.
install_units() {
    local file service back_off changed=
    for file in "$1"/systemd/*.{service,socket,target}; do
        replace "$file" "$units/$(basename "$file")" && changed=yes
    done
    # systemd 252 of Debian 12 would complain about what it does not know.
    back_off=$1/systemd/since-254/back-off.conf
    if (($(systemd_version) >= 254)) && [[ -e $back_off ]]; then
        for service in "${services[@]}"; do
            replace "$back_off" "$units/$service.d/back-off.conf" && changed=yes
        done
    fi
    replace "$1/systemd/70-recorderd.rules" "$device_rules" && changed=yes
    if [[ -z $changed ]]; then
        note "already in place"
    elif systemd_runs; then
        systemctl daemon-reload
        udevadm control --reload
        udevadm trigger --subsystem-match=gpio --subsystem-match=dma_heap
        if systemctl --quiet is-active recorderd.service; then
            note "the services have changed; one that runs takes that up at its next start"
        fi
    fi
}

# await_idleness: have the station end, but never while an order is being recorded or saved. It
# does that by itself (SIGUSR1), so that no order can begin between a look and the end. Whoever
# gives up waiting has lost nothing: systemd starts it again.
await_idleness() {
    local process
    process="$(systemctl show --property MainPID --value recorderd.service)"
    [[ $process != 0 ]] || return 0
    if ! grep -q '"phase": "ready"' "$run/status.json" 2>/dev/null; then
        note "an order is being recorded: waiting until it is saved (Ctrl-C gives up)" \
            "if one order follows directly upon the other: until the next pause"
    fi
    systemctl kill --kill-whom main --signal USR1 recorderd.service || true
    while [[ -d /proc/$process ]]; do
        sleep 0.2
    done
}

# The socket, too, so that nobody starts the pages again meanwhile.
stop_services() {
    systemctl stop recorderd-web.socket "${services[@]}"
}

# Of those that do not run yet.
start_services() {
    systemctl start recorderd.target recorderd-web.socket
}

# show_station: why it does not start.
show_station() {
    systemctl --no-pager --lines 15 status recorderd.service >&2 || true
}

# wait_until_ready: whether the station says within a minute that all is there (READY=1).
wait_until_ready() {
    timeout "$ready_seconds" systemctl start recorderd.service
}
