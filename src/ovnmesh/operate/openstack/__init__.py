"""An OpenStack site joins the mesh and leaves it: in Neutron, in its site file and in OVN."""
