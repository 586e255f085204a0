#!/usr/bin/env bash
# Licences, bans and advisories of the dependencies, by cargo-deny.
#
# Without cargo-deny: installed in CI, skipped with a note elsewhere. Without the advisory database, which is fetched from
# the network: everything else is still checked, and the skip is told.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cargo-deny >/dev/null; then
    if [[ "${CI:-}" == true ]]; then
        # In a target directory of its own, so that the project's lock file and profile have no part in it.
        CARGO_TARGET_DIR="${TMPDIR:-/tmp}/cargo-deny-build" cargo install --locked cargo-deny --version 0.20.2
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    else
        echo "SKIPPED: licences and advisories; cargo-deny is missing (cargo install --locked cargo-deny)" >&2
        exit 0
    fi
fi

cargo deny --locked check licenses bans sources

if output=$(cargo deny --locked check advisories 2>&1); then
    echo "$output"
elif grep -q 'failed to fetch advisory database' <<<"$output"; then
    echo "SKIPPED: advisories; their database cannot be fetched:" >&2
    tail -n 5 <<<"$output" >&2
else
    echo "$output" >&2
    exit 1
fi
