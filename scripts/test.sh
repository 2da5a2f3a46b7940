#!/usr/bin/env bash
# Every check, cheapest first. Called by `make test`. The OpenStack that some tests need is installed
# meanwhile, once for all; who comes before it is there waits for it.
set -euo pipefail

reports=$PWD/build/tests
color=$([ -t 1 ] && echo yes || echo auto)
failed=0

rm -rf "$reports"
mkdir -p "$reports"
# In a session of its own, so that it can be ended with all it has started.
setsid nice ovnmesh lab install --keystone >"$reports/install.log" 2>&1 &
installer=$!
end() {
    kill -- "-$installer" 2>/dev/null || true
    wait
}
trap end EXIT

make --no-print-directory lint
lint_s=$SECONDS

# Side by side where no data path has to be on time; a file at a time.
COVERAGE_FILE=$reports/.coverage coverage run -m pytest --stage without-data-path \
    -m "not datapath" -n 2 --dist loadfile tests --color "$color" 2>&1 |
    tee "$reports/without-data-path.log" || failed=$?
pytest --stage labs -m datapath tests --color "$color" || failed=$?

# What failed before the labs is far above by now.
sed -n '/=== \(FAILURES\|ERRORS\) ===/,$p' "$reports/without-data-path.log"
[ "$failed" = 0 ] || grep -v '^installed' "$reports/install.log" || true
export COVERAGE_FILE=$reports/.coverage
coverage combine --quiet && coverage json --quiet -o "$reports/coverage.json"
PYTHONPATH=. python tests/summary.py "lint=$lint_s" without-data-path labs "in all=$SECONDS"
exit "$failed"
