#!/usr/bin/env bash
# The demonstration: two clusters, three nodes each, on real OVN; who reaches whom; what to try.
# Called by `make demo`. Leaves the lab running.
set -euo pipefail

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

say "Two clusters, each with its own OVN databases, three nodes and three pods"
ovnmesh lab down >/dev/null 2>&1 || true
ovnmesh lab up
ovnmesh status --wait

say "Who reaches whom, by their own addresses (no packet may be lost)"
failed=0
for pair in "az1/pod0 az2/pod0" "az1/pod1 az2/pod2" "az2/pod0 az1/pod2" "az2/pod1 az1/pod1"; do
    # shellcheck disable=SC2086
    ovnmesh lab ping $pair || failed=1
done

say "As in the documents: the interconnection database  (ovn-ic-sbctl show)"
(eval "$(ovnmesh lab env az1)" && ovn-ic-sbctl show)

say "As in the documents: the routes of az1  (ovn-nbctl lr-route-list ovn-cluster)"
(eval "$(ovnmesh lab env az1)" && ovn-nbctl lr-route-list ovn-cluster)

say "The lab goes on running. Try:"
cat <<'EOF'
  source .venv/bin/activate
  ovnmesh status                              # sites, gateways, routes, findings
  ovnmesh routes az1                          # what is advertised, learned, refused and why
  ovnmesh lab exec az1/pod0 -- ping -c 3 10.17.0.2
  ovnmesh lab fault link az1/az1-gw           # break the gateway's link; --heal mends it
  eval "$(ovnmesh lab env az2)"; ovn-nbctl show ts
  ovnmesh leave az2                           # az2 leaves; its databases are as before
  ovnmesh lab down                            # end it, leaving nothing behind
EOF
exit "$failed"
