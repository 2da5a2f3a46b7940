"""The configuration in a site's record: the last good one, typed again.

Called by whoever needs to know how a site is configured and has only its northbound database.
Pure. The one place that reads the text in the record.
"""

from ovnmesh.config.interconnect import InterconnectConfig, parse_config
from ovnmesh.errors import ConfigError
from ovnmesh.model.desired import SiteRecord


def recorded_config(record: SiteRecord | None) -> InterconnectConfig | None:
    """The configuration that a site has taken; None without a record, or if it is not ours."""
    if record is None:
        return None
    try:
        return parse_config(dict(record.data), "record in NB_Global.external_ids")
    except ConfigError:
        return None
