#!/usr/bin/env bash
# Installs what ovnmesh needs on a Debian machine: OVN and OVS packages, and the virtual
# environment .venv in this checkout. Called by the Makefile. Says what it installs, and does
# nothing where all is there. Must not touch daemons of packages that were installed before.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
    ovn-central ovn-host ovn-ic ovn-ic-db openvswitch-switch
    iproute2 iputils-ping python3 python3-venv util-linux procps
)
# Only benchmarks use it.
[ "${1:-}" != bench ] || packages+=(iperf3)
# The services those packages start on their own (Debian's maintainer scripts).
services=(
    ovn-central ovn-ovsdb-server-nb ovn-ovsdb-server-sb ovn-northd ovn-host ovn-controller
    ovn-ic ovn-ic-db openvswitch-switch
)

if [ "$(id -u)" -ne 0 ]; then
    echo "ovnmesh: root is needed, to install Debian packages and to make network namespaces." >&2
    echo "Run: sudo make ${1:-demo}" >&2
    exit 2
fi

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
    if ! command -v apt-get >/dev/null; then
        echo "ovnmesh: apt-get not found; expected Debian 12 or newer. Install: ${missing[*]}" >&2
        exit 2
    fi
    echo "ovnmesh: installing Debian packages: ${missing[*]}"
    # Fresh packages must not start daemons: the lab runs its own, in namespaces.
    policy=/usr/sbin/policy-rc.d
    made_policy=no
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        made_policy=yes
    fi
    undo() { [ "$made_policy" = no ] || rm -f "$policy"; }
    trap undo EXIT
    log=$(mktemp)
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        echo "ovnmesh: the packages could not be installed (whole log: $log)" >&2
        exit 1
    fi
    rm -f "$log"
    if [ -d /run/systemd/system ]; then
        for service in "${services[@]}"; do
            case " ${missing[*]} " in
            *" ovn-central "* | *" ovn-host "* | *" ovn-ic "* | *" ovn-ic-db "* | *" openvswitch-switch "*)
                systemctl disable --now "$service" >/dev/null 2>&1 || true ;;
            esac
        done
    fi
fi

# What the demo and the lab need is a part of what tests need. One stamp for each: the environment is
# made anew when a pin or the package's metadata changes.
case "${1:-}" in
demo | lab) extra=lab ;;
*) extra=dev ;;
esac
wanted=$(cat pyproject.toml constraints.txt | sha256sum)
is_there() { [ -x .venv/bin/ovnmesh ] && [ "$(cat ".venv/.ovnmesh-$1" 2>/dev/null)" = "$wanted" ]; }
if ! is_there "$extra" && ! is_there dev; then
    echo "ovnmesh: making the virtual environment .venv with the packages of constraints.txt"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "ovnmesh: found $(python3 --version); expected Python 3.11 or newer" >&2
        exit 2
    }
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extra]"
    echo "$wanted" >".venv/.ovnmesh-$extra"
fi

# Checks manifests; the demo has no use for it. Without it, tests are skipped and say so.
[ "${1:-}" = demo ] || scripts/kubectl.sh || true
