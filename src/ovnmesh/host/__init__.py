"""What ovnmesh asks of the machine it runs on: processes and network namespaces.

Called by the IC databases' server, the controller and the lab. Knows nothing of OVN's databases.
"""
