# Sourced by the scripts in bin/: finds Python, keeps the virtual environment equal to the lock files.
# Sets `root` (the clone) and `python` (of the virtual environment). Progress goes to standard error.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
python=$root/.venv/bin/python

say() { printf '%s\n' "$*" >&2; }

suitable() {  # a Python ≥ 3.11 that can make virtual environments
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    # The system's own first: distributions compile it by a profile of its work, version managers seldom do, and a call
    # costs a bridge a fifth more without.
    local candidate
    for candidate in /usr/bin/python3 python3.11 python3 python3.12 python3.13 python3.14; do
        if suitable "$candidate"; then command -v "$candidate"; return; fi
    done
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing python3 python3-venv"
        mkdir -p "$root/var"
        { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
            python3 python3-venv; } >>"$root/var/setup.log" 2>&1 || true
        if suitable python3; then command -v python3; return; fi
    fi
    say "VNS needs Python 3.11 or newer with venv (on Debian 12, as root: apt-get install python3 python3-venv)"
    return 1
}

# What the stamp of an environment says: the place and the locks, so that a second start takes no time, a changed lock is
# installed and a moved clone gets a new environment.
wanted_stamp() {
    printf '%s %s' "$root" "$(cd "$root/requirements" && cat runtime.txt "$1.txt" | sha256sum | cut -d' ' -f1)"
}

up_to_date() { [ -x "$python" ] && [ "$(cat "$root/.venv/.vns-$1" 2>/dev/null)" = "$(wanted_stamp "$1")" ]; }

# make_environment runtime|dev; an environment for development also runs the platform.
make_environment() {
    local kind=$1 base stamp
    if up_to_date "$kind" || { [ "$kind" = runtime ] && up_to_date dev; }; then return; fi
    mkdir -p "$root/var"
    exec 9>"$root/var/environment.lock"
    flock 9
    for stamp in "$root"/.venv/.vns-*; do
        if [ -e "$stamp" ] && [ "$(sed 's/ [0-9a-f]*$//' "$stamp")" != "$root" ]; then
            say "the clone was moved: its virtual environment is made anew"
            rm -rf -- "$root/.venv"
        fi
    done
    if [ ! -x "$python" ]; then
        base=$(find_python)
        say "making the virtual environment"
        rm -rf -- "$root/.venv"
        "$base" -m venv "$root/.venv"
    fi
    if ! up_to_date "$kind"; then
        say "installing the locked packages ($kind)"
        if ! "$python" -m pip install --no-input --disable-pip-version-check --require-hashes \
            -r "$root/requirements/$kind.txt" >>"$root/var/setup.log" 2>&1; then
            say "pip failed (all of it in $root/var/setup.log):"
            tail -n 5 "$root/var/setup.log" >&2
            return 1
        fi
        put_clone_on_path
        wanted_stamp "$kind" >"$root/.venv/.vns-$kind"
    fi
    exec 9>&-
}

put_clone_on_path() {
    local packages
    packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n' "$root" >"$packages/vns_checkout.pth"
    printf '#!%s\nfrom local.command_line import main\n\nmain()\n' "$python" >"$root/.venv/bin/vns"
    chmod +x "$root/.venv/bin/vns"
}
