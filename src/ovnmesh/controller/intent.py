"""What the input asks for: join as described, leave, or carry on as before.

Called by the reconciler. Pure. Missing or wrong input never means "leave": then the record of the
last good state, kept in the site's own northbound database, stays in force.
"""

from dataclasses import dataclass

from ovnmesh.config import InterconnectConfig
from ovnmesh.errors import Problem
from ovnmesh.model.denied import collect_reasons
from ovnmesh.model.desired import Desired, Router
from ovnmesh.model.finding import Code, Finding, Severity
from ovnmesh.model.prefixes import Prefix, from_address, from_network
from ovnmesh.model.remote import NOWHERE, Remote
from ovnmesh.providers.base import ProviderState


@dataclass(frozen=True, slots=True)
class Intent:
    """The decision.

    Attributes:
        desired: join, or stay joined, as described; None otherwise.
        leave: leave the mesh.
        ic_nb: where the interconnection northbound database is, `NOWHERE` if that is not known.
        ic_sb: the same, southbound.
        findings: what is wrong with the input.
        input_ok: whether the input was usable.
    """

    desired: Desired | None
    leave: bool
    ic_nb: Remote
    ic_sb: Remote
    findings: tuple[Finding, ...]
    input_ok: bool


def decide_intent(
    state: ProviderState | None, unreadable: str, record: Desired | None, router: str
) -> Intent:
    """Decide from the input as read and from the site's record.

    Args:
        state: the provider's reading; None if it could not be read.
        unreadable: why it could not be read; "" while it is being read for the first time.
        record: last good state; None if the site never joined.
        router: name of the cluster's router, where the input names none; subnets of other VPCs
            are not on it.
    """
    if state is not None and state.config is not None and not state.problems:
        if not state.config.enable_ic:
            remotes = (record.ic_nb, record.ic_sb) if record else _remotes(state.config)
            return Intent(None, True, *remotes, (), True)
        desired = make_desired(state.config, state, router)
        return Intent(desired, False, desired.ic_nb, desired.ic_sb, (), True)
    findings = _input_findings(state, unreadable, record is not None)
    if record is None:
        return Intent(None, False, NOWHERE, NOWHERE, findings, False)
    return Intent(record, False, record.ic_nb, record.ic_sb, findings, False)


def make_desired(config: InterconnectConfig, state: ProviderState, router: str) -> Desired:
    """The wish that a good reading expresses."""
    routers = state.routers or (Router(router, bypass_policy=True),)
    names = {each.name for each in routers}
    denied = [(from_network(network), why) for network, why in state.denied.items()]
    local: set[Prefix] = set()
    for subnet in state.subnets:
        if subnet.vpc not in names:
            continue
        for cidr in subnet.cidrs:
            if subnet.kept_out:
                denied.append((from_network(cidr), subnet.kept_out))
            else:
                local.add(from_network(cidr))
    if not config.advertise_nodes:
        denied += [
            (from_address(address), f"address of node {node.name}")
            for node in state.nodes
            for address in node.addresses
        ]
    return Desired(
        config.az_name,
        config.gw_nodes,
        config.auto_route,
        collect_reasons(denied),
        frozenset(local),
        config.gateways,
        routers,
        state.shared_database,
        *_remotes(config),
    )


def _remotes(config: InterconnectConfig) -> tuple[Remote, Remote]:
    return config.ic_nb_remote(), config.ic_sb_remote()


def _input_findings(
    state: ProviderState | None, unreadable: str, joined: bool
) -> tuple[Finding, ...]:
    if state is None:
        if not unreadable:
            return ()
        return (_finding(Code.CONFIG_UNREADABLE, "configuration", unreadable, joined),)
    if state.problems:
        return tuple(_problem(problem, joined) for problem in state.problems)
    if not joined:
        return ()  # never configured: nothing to say
    return (
        _finding(
            Code.CONFIG_MISSING,
            "configuration",
            "the configuration is gone, which does not mean leaving. Put it back, or set "
            "enable-ic: false in it to leave",
            joined,
        ),
    )


def _problem(problem: Problem, joined: bool) -> Finding:
    return _finding(Code.CONFIG_INVALID, problem.where, str(problem), joined)


def _finding(code: str, subject: str, message: str, joined: bool) -> Finding:
    kept = "; the last good state stays in force" if joined else ""
    return Finding(code, subject, message + kept, Severity.ERROR)
