"""Text of the documents -> validated, frozen values: `ovn-ic-config`, and what all forms share.

Called by the providers, which bring the documents as plain mappings; its types are the words every
other layer uses. Pure: must not read files, load YAML, resolve names or look at the clock. Every
function reports all problems of a document at once (`ConfigError`), in the document's order.
"""

from ovnmesh.config.fields import check_name, describe, parse_cidr, quote
from ovnmesh.config.interconnect import (
    InterconnectConfig,
    check_gateways,
    parse_config,
)
from ovnmesh.config.keys import IC_NB_PORT, IC_SB_PORT

__all__ = [
    "IC_NB_PORT",
    "IC_SB_PORT",
    "InterconnectConfig",
    "check_gateways",
    "check_name",
    "describe",
    "parse_cidr",
    "parse_config",
    "quote",
]
