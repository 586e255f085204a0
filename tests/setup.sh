#!/usr/bin/env bash
# Installs what the tests need beside cargo: some Debian packages and a Python environment in .venv.
#
# What is there already is left alone. What cannot be installed is told, and in CI it is an error: there, no test
# may be skipped without anybody noticing.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON_CLIENT="prometheus_client==0.26.0"
missing=()

# command:package
TOOLS=(prometheus:prometheus promtool:prometheus prometheus-pushgateway:prometheus-pushgateway curl:curl
    strace:strace ps:procps prlimit:util-linux mount:mount)

absent() {
    local tool
    for tool in "${TOOLS[@]}"; do
        command -v "${tool%%:*}" >/dev/null || echo "${tool##*:}"
    done | sort -u
}

install_packages() {
    [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null || return 0
    # The packages' services must not start and take the ports.
    local policy=/usr/sbin/policy-rc.d made=false
    if [[ ! -e "$policy" ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        made=true
    fi
    (apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null) >&2 || true
    if [[ "$made" == true ]]; then rm -f "$policy"; fi
}

mapfile -t packages < <(absent)
if ((${#packages[@]})); then
    echo "installing ${packages[*]}" >&2
    install_packages "${packages[@]}"
    mapfile -t packages < <(absent)
    missing+=("${packages[@]}")
fi

has_client() { .venv/bin/python -c "import prometheus_client" 2>/dev/null; }
if ! has_client; then
    python3 -m venv .venv && .venv/bin/python -m pip install --quiet --disable-pip-version-check "$PYTHON_CLIENT" || true
    has_client || missing+=("$PYTHON_CLIENT")
fi

if ((${#missing[@]})); then
    echo "MISSING: ${missing[*]}; the tests that need them will be skipped" >&2
    if [[ "${CI:-}" == true ]]; then exit 1; fi
fi
