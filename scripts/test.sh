#!/usr/bin/env bash
# Every check, cheapest first. Called by `make test`. The OpenStack that lab tests need is installed
# meanwhile, once for all labs; a lab that comes before it is there waits for it.
set -euo pipefail
set -m  # the installer gets a process group of its own, and can be ended with all it has started

log=$(mktemp)
nice ovnmesh lab install --keystone >"$log" 2>&1 &
installer=$!
end() {
    kill -- "-$installer" 2>/dev/null || true
    wait "$installer" 2>/dev/null || cat "$log"
    rm -f "$log"
}
trap end EXIT

make --no-print-directory lint
pytest --timeout 300 --durations 15
