#!/bin/sh
# System packages that some tests use: STILTS (with Java) and Chromium. Without them those tests skip.
set -eu
missing=
command -v stilts >/dev/null || missing="$missing stilts"
command -v chromium >/dev/null || missing="$missing chromium"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "setup: installing$missing"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "setup: not found:$missing; the tests that need them will be skipped (install them as root)" >&2
fi
