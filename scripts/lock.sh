#!/bin/sh
# Resolve pyproject.toml into hashed lock files that carry no addresses.
set -eu
uv=${UV:-$(command -v uv || echo .venv/bin/uv)}
lock() {
    out=$1; shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
        --no-emit-index-url --no-emit-find-links --no-annotate "$@" pyproject.toml requirements/build.in -o "$out"
}
lock requirements/demo.txt --extra demo
lock requirements/dev.txt --extra demo --extra dev
[ -e requirements/bench.txt ] || cp requirements/dev.txt requirements/bench.txt  # the same versions, and more
lock requirements/bench.txt --extra demo --extra dev --extra bench
