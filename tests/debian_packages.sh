#!/bin/sh
# What some tests need from Debian: a C compiler, a browser, and PostgreSQL for the production stack. Without the right to install
# them, those tests are skipped and say so.
set -eu
missing=""
command -v cc >/dev/null 2>&1 || missing="gcc libc6-dev"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed: $missing; the tests that need them will be skipped."
    exit 0
fi
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
