"""Text of the documents -> validated, frozen values: `ovn-ic-config`, in both of its forms.

Called by the providers, which bring the documents as plain mappings; its types are the words every
other layer uses. Pure: must not read files, load YAML, resolve names or look at the clock. Every
function reports all problems of a document at once (`ConfigError`), in the document's order.
"""

from ovnmesh.config.fields import Address, Network, check_name, describe, parse_cidr, quote
from ovnmesh.config.interconnect import (
    CONFIG_NAME,
    CONFIG_NAMESPACE,
    InterconnectConfig,
    check_gateways,
    parse_config,
)
from ovnmesh.config.interconnection import INTERCONNECTION_NAME, parse_interconnection
from ovnmesh.config.keys import IC_NB_PORT, IC_SB_PORT

__all__ = [
    "CONFIG_NAME",
    "CONFIG_NAMESPACE",
    "IC_NB_PORT",
    "IC_SB_PORT",
    "INTERCONNECTION_NAME",
    "Address",
    "InterconnectConfig",
    "Network",
    "check_gateways",
    "check_name",
    "describe",
    "parse_cidr",
    "parse_config",
    "parse_interconnection",
    "quote",
]
