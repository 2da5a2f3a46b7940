"""The Interconnection Controller of the documents: serves IC-NB and IC-SB.

Called by the commands ``ovnmesh ic-db``. One host alone, or a RAFT cluster: then `bootstrap` and
`discovery` get the files, and `upkeep` looks after the members. Must not touch a site's own
databases.
"""
