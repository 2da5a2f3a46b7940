#!/usr/bin/env bash
# The demonstration: two clusters and an OpenStack, all on real OVN; who reaches whom; what to try.
# DEMO=kubernetes leaves the OpenStack out, and is ready in seconds. Called by `make demo`. Leaves
# the lab running.
set -euo pipefail

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

case "${DEMO:-all}" in
all)
    say "Two clusters of three nodes, and an OpenStack with a real Neutron: each with its own OVN"
    echo "The first time, Neutron is installed: three minutes or so. Later it takes half a minute to"
    echo "start. DEMO=kubernetes make demo does without it."
    sites=(--openstack os1)
    pairs=("az1/pod0 az2/pod0" "az2/pod1 az1/pod1" "az1/pod1 os1/vm-0" "os1/vm-0 az1/pod2"
        "az2/pod0 os1/vm-1" "os1/vm-1 az2/pod2" "os1/vm-0 outside")
    ;;
kubernetes)
    say "Two clusters, each with its own OVN databases, three nodes and three pods"
    sites=()
    pairs=("az1/pod0 az2/pod0" "az1/pod1 az2/pod2" "az2/pod0 az1/pod2" "az2/pod1 az1/pod1")
    ;;
*)
    echo "DEMO=$DEMO: expected kubernetes, or nothing" >&2
    exit 2
    ;;
esac
ovnmesh lab down >/dev/null 2>&1 || true
ovnmesh lab up "${sites[@]}"
ovnmesh status --wait

if [ "${#sites[@]}" -gt 0 ]; then
    file=${OVNMESH_LAB_DIR:-/run/ovnmesh-lab}/os1/site/openstack.yaml
    say "The site file of os1  ($file)"
    cat "$file"
    say "A pod asks a VM: its security group drops what nobody allowed (ovnmesh lab ping)"
    ovnmesh lab ping az1/pod1 os1/vm-0 --count 3 || true
    say "So allow it  (ovnmesh openstack join --allow-from-mesh, where the controller runs)"
    (eval "$(ovnmesh lab env os1)" &&
        ovnmesh lab exec os1/control -- ovnmesh openstack join "$file" --allow-from-mesh)
fi

say "Who reaches whom, by their own addresses (a pair that loses a packet is asked once more)"
failed=0
for pair in "${pairs[@]}"; do
    # OVS's userspace datapath drops a packet that misses while a bridge is being reconfigured, as it
    # is for some moments after a change: what loses one is asked again.
    # shellcheck disable=SC2086
    ovnmesh lab ping $pair || { echo "once more:" && ovnmesh lab ping $pair; } || failed=1
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
EOF
[ "${#sites[@]}" -eq 0 ] || cat <<'EOF'
  ovnmesh lab exec os1/vm-0 -- ping -c 3 10.16.0.2
  ovnmesh lab fault kill os1 neutron          # Neutron dies; traffic and routes stay
EOF
cat <<'EOF'
  ovnmesh lab down                            # end it, leaving nothing behind
EOF
exit "$failed"
