"""`ovn-ic-config`: what a site wants of the mesh.

Called by the providers. Pure. Its keys, and what their texts mean, are in `config.keys`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ovnmesh import ovn_keys as keys
from ovnmesh.config.fields import Fields, did_you_mean, quote, raise_problems
from ovnmesh.config.keys import BY_NAME, GATEWAY_KEYS, IC_NB_PORT, IC_SB_PORT, KEYS, SITE_KEYS
from ovnmesh.errors import Problem
from ovnmesh.model.addresses import Address
from ovnmesh.model.desired import DEFAULT_POLICY, GatewayPolicy
from ovnmesh.model.remote import Remote, tcp_remote


@dataclass(frozen=True, slots=True)
class InterconnectConfig:
    """The content of a site's ``ovn-ic-config``.

    Attributes:
        enable_ic: join (True) or leave (False) the mesh.
        az_name: availability zone name of the site; "" only if not joining.
        ic_db_hosts: addresses of the interconnection databases, in the order given.
        ic_nb_port: TCP port of the interconnection northbound database.
        ic_sb_port: TCP port of the interconnection southbound database.
        gw_nodes: gateway nodes, the preferred one first.
        auto_route: advertise and learn routes.
        advertise_nodes: let the nodes' own addresses be advertised too.
        gateways: how gateways serve.
    """

    enable_ic: bool
    az_name: str = ""
    ic_db_hosts: tuple[Address, ...] = ()
    ic_nb_port: int = IC_NB_PORT
    ic_sb_port: int = IC_SB_PORT
    gw_nodes: tuple[str, ...] = ()
    auto_route: bool = False
    advertise_nodes: bool = False
    gateways: GatewayPolicy = DEFAULT_POLICY

    def ic_nb_remote(self) -> Remote:
        """Where IC-NB is: ``tcp:192.168.65.3:6645,tcp:[fd00::1]:6645``."""
        return tcp_remote(self.ic_db_hosts, self.ic_nb_port)

    def ic_sb_remote(self) -> Remote:
        """Where IC-SB is, in the same form."""
        return tcp_remote(self.ic_db_hosts, self.ic_sb_port)

    def to_data(self) -> dict[str, str]:
        """The data that `parse_config` reads back as an equal value.

        Keys that may be missing and have their default are left out: a plain configuration stays a
        short one.
        """
        values = {key: getattr(self, key.field) for key in SITE_KEYS}
        values |= {key: getattr(self.gateways, key.field) for key in GATEWAY_KEYS}
        return {
            key.name: key.show(value)
            for key, value in values.items()
            if key.always or value != key.default
        }


def parse_config(data: object, where: str, nodes: Sequence[str] = ()) -> InterconnectConfig:
    """Parse the ``data`` of ``ovn-ic-config``.

    With ``enable-ic`` "false" the other keys may be missing; those present are still checked.

    Args:
        data: the mapping under ``data``, as the source gave it.
        where: what and where the document is, for messages.
        nodes: names of all nodes of the site, to check the gateways by; empty if not known.

    Raises:
        ConfigError: with every problem.
    """
    fields = Fields(data, f"{where}, data", 'keys with strings, such as enable-ic: "true"')
    fields.refuse_unknown(BY_NAME, "key")
    values = {key.field: fields.take(key.name, key.parse, key.default) for key in KEYS}
    gateways = GatewayPolicy(**{key.field: values.pop(key.field) for key in GATEWAY_KEYS})
    enable_ic = values.pop("enable_ic")
    config = InterconnectConfig(enable_ic=bool(enable_ic), **values, gateways=gateways)
    if config.ic_nb_port == config.ic_sb_port and fields.good("ic-nb-port", "ic-sb-port"):
        fields.add("ic-sb-port", f'"{config.ic_sb_port}"', "another port than that of ic-nb-port")
    for key in KEYS:
        # A site that leaves needs to say no more than that.
        if key.required and (enable_ic is not False or key.field == "enable_ic"):
            fields.require(key.name, key.expected)
    checked = replace(config, enable_ic=enable_ic is not False)
    raise_problems([*fields.problems(), *check_gateways(checked, nodes, where)])
    return config


def check_gateways(
    config: InterconnectConfig, nodes: Sequence[str], where: str
) -> tuple[Problem, ...]:
    """Check that the gateways are nodes of the cluster.

    A site that leaves is not held up by a gateway that is gone, and a site whose nodes are not
    known is not checked.

    Args:
        config: the parsed configuration.
        nodes: names of all nodes of the site; empty if they are not known.
        where: the document that names the gateways.
    """
    if not nodes or not config.enable_ic:
        return ()
    known = set(nodes)
    if config.gw_nodes == (keys.ENABLE_AS_GATEWAY,):
        return ()
    some = ", ".join(nodes[:8]) + (", ..." if len(nodes) > 8 else "")
    return tuple(
        Problem(
            f"{where}, data.gw-nodes",
            f"{quote(gateway)}, which is no node of this site",
            f"a node of the cluster: {did_you_mean(gateway, nodes) or some}",
        )
        for gateway in config.gw_nodes
        if gateway not in known
    )
