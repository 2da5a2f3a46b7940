"""One thing worth telling about a site, the same for log, status, metric and events.

Made by planners, views and checks; shown by everybody. Must not format for one medium.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace


class Code(enum.StrEnum):
    """What a finding is about; stable, monitoring may match it (docs/troubleshooting.md)."""

    #: Another site holds our address on a transit switch.
    ADDRESS_MOVED = "address-moved"
    #: Another site has the AZ name.
    AZ_NAME_TAKEN = "az-name-taken"
    #: A check of `ovnmesh diagnose` could not be made.
    CHECK_FAILED = "check-failed"
    #: Two sites have overlapping prefixes.
    CIDR_CONFLICT = "cidr-conflict"
    #: The configuration is wrong.
    CONFIG_INVALID = "config-invalid"
    #: The configuration is gone.
    CONFIG_MISSING = "config-missing"
    #: The configuration cannot be read.
    CONFIG_UNREADABLE = "config-unreadable"
    #: No controller runs for the site.
    CONTROLLER_MISSING = "controller-missing"
    #: An external network cannot be kept at home.
    EXTERNAL_NETWORK_ADVERTISED = "external-network-advertised"
    #: A gateway node lacks its mark.
    GATEWAY_NOT_MARKED = "gateway-not-marked"
    #: A node keeps its mark while the site leaves.
    GATEWAY_STILL_MARKED = "gateway-still-marked"
    #: A gateway node has no chassis.
    GATEWAY_UNKNOWN = "gateway-unknown"
    #: The interconnection databases are not those that the site joined.
    IC_EMPTY = "ic-empty"
    #: New interconnection databases are not taken into use.
    IC_NOT_MOVED = "ic-not-moved"
    #: The interconnection databases do not answer.
    IC_UNREACHABLE = "ic-unreachable"
    #: OVN denies more IPv6 than it was asked to.
    IPV6_DENY_LIST = "ipv6-deny-list"
    #: OVN may serve load balancers at the wrong gateway.
    LOAD_BALANCER_GATEWAY = "load-balancer-gateway"
    #: A manual route is too wide to be kept at home.
    MANUAL_ROUTE_WIDE = "manual-route-wide"
    #: Tunnels of the sites carry packets of different size.
    MTU_DIFFERS = "mtu-differs"
    #: NAT rules without a port to apply them at.
    NAT_WITHOUT_EXTERNAL_PORT = "nat-without-external-port"
    #: NAT rules that OVN does not apply.
    NAT_WITHOUT_GATEWAY_PORT = "nat-without-gateway-port"
    #: A transit port is bound to no gateway.
    NO_ACTIVE_GATEWAY = "no-active-gateway"
    #: A pass of the controller failed.
    PASS_FAILED = "pass-failed"
    #: The path between two gateways is dead.
    PATH_DOWN = "path-down"
    #: A router is disabled.
    ROUTER_DISABLED = "router-disabled"
    #: A router does not exist.
    ROUTER_MISSING = "router-missing"
    #: A router has no subnet that can be seen.
    ROUTER_WITHOUT_SUBNET = "router-without-subnet"
    #: No transit switch is left for a router.
    ROUTER_WITHOUT_SWITCH = "router-without-switch"
    #: A security group lets no traffic of other sites in.
    SECURITY_GROUP_CLOSED = "security-group-closed"
    #: A database of the site does not answer.
    SITE_UNREACHABLE = "site-unreachable"
    #: The recorded status cannot be read.
    STATUS_UNREADABLE = "status-unreadable"
    #: A transit switch has no subnet or no free address.
    TRANSIT_SWITCH_UNUSABLE = "transit-switch-unusable"


class Severity(enum.StrEnum):
    """How bad it is: errors make a site unhealthy, warnings do not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A finding.

    Attributes:
        code: a `Code`; a record of a newer version may hold others.
        subject: what it is about: a node, a prefix, a transit switch.
        message: where, what was found, what was expected, what to do next.
        severity: see `Severity`.
    """

    code: str
    subject: str
    message: str
    severity: Severity = Severity.ERROR

    def to_json(self) -> dict[str, str]:
        """As plain JSON data."""
        return {
            "severity": str(self.severity),
            "code": str(self.code),
            "subject": self.subject,
            "message": self.message,
        }


def with_advice(findings: Iterable[Finding], advice: Mapping[str, str]) -> tuple[Finding, ...]:
    """The findings, each with what to do about it in the words of the site's cloud.

    Args:
        findings: as planners make them, which know no cloud.
        advice: what to add, by code; a sentence, in which {subject} stands for the subject.
    """
    return tuple(
        replace(each, message=f"{each.message.rstrip('.')}. {_advice(each, advice)}")
        if each.code in advice
        else each
        for each in findings
    )


def _advice(finding: Finding, advice: Mapping[str, str]) -> str:
    return advice[finding.code].replace("{subject}", finding.subject)
