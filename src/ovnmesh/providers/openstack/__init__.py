"""OpenStack as a source of configuration: a site file, and Neutron for the routers it names.

`site_file` reads the file, `api` asks Neutron, `resolve` (pure) makes one state of both,
`provider` does so in a thread of its own. Must not know OVN's rows.
"""
