"""Sites of real OVN on one machine, with network namespaces as nodes and pods.

`runner` is the entry point for the command line and for tests. Nothing here is a simulation: the
same OVN daemons and the same ovnmesh processes run as in production, on OVS's userspace datapath.
"""
