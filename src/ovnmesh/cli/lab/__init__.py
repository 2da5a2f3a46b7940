"""Commands about sites of real OVN on one machine: `ovnmesh lab`."""
