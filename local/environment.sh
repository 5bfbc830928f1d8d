# Sourced by the scripts in bin/: finds Python, keeps the virtual environment equal to the lock files.
# Sets `root` (the clone) and `python` (of the virtual environment). Progress goes to standard error.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
python=$root/.venv/bin/python

say() { printf '%s\n' "$*" >&2; }

suitable() {  # a Python ≥ 3.11 that can make virtual environments
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in python3.11 python3 python3.12 python3.13 python3.14; do
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

# make_environment runtime|dev: the stamp names place and locks, so that a second start takes no time, a changed lock
# is installed and a moved clone gets a new environment.
make_environment() {
    local kind=$1 stamp=$root/.venv/.vns-$1 wanted base
    wanted="$root $(cd "$root/requirements" && sha256sum runtime.txt "$kind.txt" | cut -d' ' -f1 | tr '\n' ' ')"
    if [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
    mkdir -p "$root/var"
    exec 9>"$root/var/environment.lock"
    flock 9
    if [ ! -x "$python" ] || { [ -e "$stamp" ] && [ "$(cut -d' ' -f1 "$stamp")" != "$root" ]; }; then
        base=$(find_python)
        say "making the virtual environment"
        rm -rf -- "$root/.venv"
        "$base" -m venv "$root/.venv"
    fi
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        say "installing the locked packages ($kind)"
        "$python" -m pip install --quiet --no-input --disable-pip-version-check --require-hashes \
            -r "$root/requirements/$kind.txt" >&2
        put_clone_on_path
        printf '%s' "$wanted" >"$stamp"
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
