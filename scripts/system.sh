#!/bin/sh
# System packages: STILTS (with Java) and Chromium, which some tests use, and for `system.sh bench` PostgreSQL 15
# with q3c and pgSphere. Without them those tests and benchmarks skip.
set -eu
missing=
if [ "${1:-}" = bench ]; then
    what="the benchmarks that need them are left out"
    [ -x /usr/lib/postgresql/15/bin/initdb ] || missing="$missing postgresql-15"
    extensions=/usr/share/postgresql/15/extension
    [ -e $extensions/q3c.control ] || missing="$missing postgresql-15-q3c"
    [ -e $extensions/pg_sphere.control ] || missing="$missing postgresql-15-pgsphere"
else
    what="the tests that need them will be skipped"
    command -v stilts >/dev/null || missing="$missing stilts"
    command -v chromium >/dev/null || missing="$missing chromium"
fi
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "setup: installing$missing"
    if [ "${1:-}" = bench ] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        # the benchmarks start a cluster of their own: none of the system's is wanted
        mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        { [ "${1:-}" = bench ] && echo "setup: could not install$missing; $what" >&2; }
else
    echo "setup: not found:$missing; $what (install them as root)" >&2
fi
