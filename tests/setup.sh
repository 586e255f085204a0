#!/usr/bin/env bash
# Installs what the tests need beside cargo: some Debian packages, a Python environment in .venv, and the programs of
# tests/clients, each with its client library, in target/clients.
#
# What is there already is left alone, and what was made from the same files is not made again. What cannot be installed
# is told, and in CI it is an error: there, no test may be skipped without anybody noticing.
set -euo pipefail
cd "$(dirname "$0")/.."
ROOT=$PWD
MADE=$ROOT/target/clients
CLIENTS=tests/clients

missing=()

# command:package, or a file of the package in the place of the command
TOOLS=(prometheus:prometheus promtool:prometheus prometheus-pushgateway:prometheus-pushgateway curl:curl openssl:openssl systemd-socket-activate:systemd
    strace:strace ps:procps prlimit:util-linux mount:mount g++:g++ cmake:cmake pkg-config:pkg-config
    /usr/include/prometheus/gateway.h:prometheus-cpp-dev /usr/include/openssl/ssl.h:libssl-dev)

is_there() { if [[ "$1" == /* ]]; then test -e "$1"; else command -v "$1" >/dev/null; fi; }

absent() {
    local tool
    for tool in "${TOOLS[@]}"; do
        is_there "${tool%%:*}" || echo "${tool##*:}"
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

# Each make_* gets the directory that its client belongs into, and is run in $ROOT.

make_python() {
    python3 -m venv .venv &&
        .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$CLIENTS/python/requirements.txt"
}

make_node() {
    mkdir -p "$1" && cp "$CLIENTS"/node/{package.json,package-lock.json,push.js} "$1" &&
        npm ci --prefix "$1" --silent --no-audit --no-fund --ignore-scripts
}

make_go() { (cd "$CLIENTS/go" && go build -buildvcs=false -o "$1/push" .); }

# The libraries only: java runs the programs from their source.
make_java() {
    rm -rf "$1" "$1.new" &&
        mvn --quiet --batch-mode -Dstyle.color=never -f "$CLIENTS/java/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$1.new" &&
        mv "$1.new" "$1"
}

make_cpp() {
    cmake -S "$CLIENTS/cpp" -B "$1" -DCMAKE_BUILD_TYPE=Debug --log-level=WARNING >/dev/null &&
        cmake --build "$1" >/dev/null
}

make_rust() { cargo build --quiet --locked --manifest-path "$CLIENTS/rust/Cargo.toml" --target-dir "$1"; }

# client NAME TOOL RESULT FILE...: makes a client, unless its result is there and was made from the same files.
client() {
    local name=$1 tool=$2 result=$3 sum
    shift 3
    if ! command -v "$tool" >/dev/null; then
        missing+=("$tool (for $CLIENTS/$name)")
        return
    fi
    sum=$(cat "$@" | sha256sum)
    if [[ -e "$result" && "$(cat "$MADE/$name.made" 2>/dev/null)" == "$sum" ]]; then return; fi
    echo "making $CLIENTS/$name" >&2
    if "make_$name" "$MADE/$name" >&2; then
        echo "$sum" >"$MADE/$name.made"
    else
        rm -f "$MADE/$name.made"
        missing+=("$CLIENTS/$name")
    fi
}

mapfile -t packages < <(absent)
if ((${#packages[@]})); then
    echo "installing ${packages[*]}" >&2
    install_packages "${packages[@]}"
    mapfile -t packages < <(absent)
    missing+=("${packages[@]}")
fi

mkdir -p "$MADE"
client python python3 .venv/bin/python "$CLIENTS/python/requirements.txt"
client node npm "$MADE/node/node_modules" "$CLIENTS"/node/{package.json,package-lock.json,push.js}
client go go "$MADE/go/push" "$CLIENTS"/go/{go.mod,go.sum,push.go}
client java mvn "$MADE/java" "$CLIENTS/java/pom.xml"
client cpp cmake "$MADE/cpp/push" "$CLIENTS"/cpp/{CMakeLists.txt,push.cpp}
client rust cargo "$MADE/rust/debug/push" "$CLIENTS"/rust/{Cargo.toml,Cargo.lock,src/main.rs}

if ((${#missing[@]})); then
    echo "MISSING: ${missing[*]}; the tests that need them will be skipped" >&2
    if [[ "${CI:-}" == true ]]; then exit 1; fi
fi
