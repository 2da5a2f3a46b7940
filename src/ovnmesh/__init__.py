"""ovnmesh connects OVN networks so that workloads reach each other by their own addresses.

See docs/architecture.md for the layers; `ovnmesh --help` for the commands.
"""

__version__ = "0.1.0"
