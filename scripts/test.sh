#!/usr/bin/env bash
# Every check, cheapest first. Called by `make test`. The OpenStack that lab tests need is installed
# meanwhile, once for all labs; a lab that comes before it is there waits for it.
set -euo pipefail
set -m  # the installer gets a process group of its own, and can be ended with all it has started

log=$(mktemp)
first=$(mktemp)
color=$([ -t 1 ] && echo yes || echo auto)
nice ovnmesh lab install --keystone >"$log" 2>&1 &
installer=$!
end() {
    kill -- "-$installer" 2>/dev/null || true
    wait "$installer" 2>/dev/null || cat "$log"
    rm -f "$log" "$first"
}
trap end EXIT

make --no-print-directory lint
# Side by side where no data path has to be on time; a file at a time, its tests in their order.
failed=0
pytest --timeout 300 --durations 15 --color "$color" -n 2 --dist loadfile \
    tests/unit tests/property tests/ovsdb | tee "$first" || failed=$?
pytest --timeout 300 --durations 15 tests/lab || failed=$?
# What failed before the labs is far above by now.
sed -n '/=== \(FAILURES\|ERRORS\) ===/,$p' "$first"
exit "$failed"
