"""The Interconnection Controller of the documents: serves IC-NB and IC-SB.

Called by the commands ``ovnmesh ic-db``. One host alone, or a RAFT cluster: then `founding` and
`rendezvous` get the files, and `keeper` looks after the members. Must not touch a site's own
databases.
"""
