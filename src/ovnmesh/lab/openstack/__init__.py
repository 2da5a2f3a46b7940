"""Sites of a lab that are OpenStack: a real Neutron on a real MariaDB, and namespaces as VMs.

`site` puts the other modules in order for `boot` and `faults`; `shape` is pure and part of the
topology. Nothing here is imported by a lab without such a site but `shape`.
"""
