"""The Interconnection Controller of the documents: serves IC-NB and IC-SB.

Called by the command ``ovnmesh ic-db``. Standalone databases; a RAFT cluster would take the place
of `files` and of how `server` starts its children. Must not touch a site's own databases.
"""
