"""`ovnmesh site`: the configuration of a site, before a controller sees it.

Called by `cli.main`. Reads by the providers, so the verdict is the controller's own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ovnmesh.cli import output
from ovnmesh.cli.arguments import OutputForm
from ovnmesh.cli.output import Output
from ovnmesh.config import CONFIG_NAME
from ovnmesh.errors import ConfigError, Problem, ProviderError
from ovnmesh.providers.base import ProviderState

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Check the configuration of a site.",
    epilog="Example: ovnmesh site validate /etc/ovnmesh/site",
)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What a controller would say of one file or folder.

    Attributes:
        path: as given.
        problems: what is wrong with it.
        error: why it could not be judged whole, "" if it was.
        state: what it says; None if it says nothing usable.
    """

    path: Path
    problems: tuple[Problem, ...] = ()
    error: str = ""
    state: ProviderState | None = None

    @property
    def word(self) -> str:
        return "wrong" if self.problems else "unknown" if self.error else "right"


@app.callback()
def _group() -> None:
    """Keeps `validate` a command of its own while there is no other."""


@app.command(epilog="Example: ovnmesh site validate /etc/ovnmesh/openstack.yaml --cloud")
def validate(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Site files of OpenStack clouds, or folders of manifests."
        ),
    ],
    cloud: Annotated[
        bool, typer.Option("--cloud", help="Also ask the cloud for routers, subnets and rights.")
    ] = False,
    form: OutputForm = Output.TABLE,
) -> None:
    """Check site files and folders of manifests as the controller would; change nothing.

    The exit status is 2 if anything is wrong, 1 if a cloud cannot be asked.
    """
    verdicts = [_judge(path, cloud) for path in files]
    if form is Output.JSON:
        output.emit_json([_to_json(verdict) for verdict in verdicts])
    else:
        _print(verdicts, cloud)
    wrong = any(verdict.problems for verdict in verdicts)
    raise typer.Exit(2 if wrong else 1 if any(verdict.error for verdict in verdicts) else 0)


def _judge(path: Path, cloud: bool) -> _Verdict:
    try:
        state = _read_folder(path) if path.is_dir() else _read_file(path, cloud)
    except ConfigError as error:
        return _Verdict(path, error.problems)
    except ProviderError as error:
        return _Verdict(path, error=str(error))
    return _Verdict(path, state.problems, state=state)


def _read_folder(path: Path) -> ProviderState:
    from ovnmesh.providers.manifests import ManifestsProvider

    state = ManifestsProvider(path).read()
    if not state.config_present:
        expected = f"a ConfigMap {CONFIG_NAME}, or an Interconnection, in a *.yaml file"
        raise ConfigError([*state.problems, Problem(str(path), "no configuration", expected)])
    return state


def _read_file(path: Path, cloud: bool) -> ProviderState:
    from ovnmesh.providers.openstack.site_file import read_site_file

    file = read_site_file(path)
    if not cloud:
        return ProviderState(file.site.config, True, (), (), ())
    from ovnmesh.providers.openstack.api import Api, read_neutron
    from ovnmesh.providers.openstack.resolve import resolve

    api = Api(file.site)
    try:
        return resolve(file, read_neutron(api, [each.name for each in file.site.routers]))
    finally:
        api.close()


def _print(verdicts: list[_Verdict], cloud: bool) -> None:
    output.table(
        "Sites",
        ("FILE", "AZ", "VERDICT"),
        ((verdict.path, _az(verdict), verdict.word) for verdict in verdicts),
    )
    routers = [
        (_az(v), router.label, router.name, ",".join(router.transit_switches) or "any")
        for v in verdicts
        if v.state is not None
        for router in v.state.routers
    ]
    if routers:
        columns = ("AZ", "ROUTER", "LOGICAL ROUTER", "TRANSIT SWITCHES")
        output.table("Routers", columns, routers)
    networks = [line for verdict in verdicts for line in _networks(verdict)]
    if networks and cloud:
        output.table("Networks", ("AZ", "NETWORK", "STATE", "WHAT"), networks)
    for verdict in verdicts:
        folder = f"{verdict.path}: " if verdict.path.is_dir() else ""
        for said in (*map(str, verdict.problems), verdict.error):
            if said:
                output.stderr().print(said if said.startswith(folder) else f"{folder}{said}")


def _networks(verdict: _Verdict) -> list[tuple[str, str, str, str]]:
    """Each network of the site: whether it will be advertised, and what it is."""
    if verdict.state is None:
        return []
    az = _az(verdict)
    lines = [
        (
            az,
            str(cidr),
            "withheld" if subnet.kept_out else "advertised",
            f"subnet {subnet.name}",
        )
        for subnet in verdict.state.subnets
        for cidr in subnet.cidrs
    ]
    return lines + [(az, str(net), "denied", why) for net, why in verdict.state.denied.items()]


def _az(verdict: _Verdict) -> str:
    config = verdict.state.config if verdict.state is not None else None
    return config.az_name if config is not None else ""


def _to_json(verdict: _Verdict) -> dict[str, Any]:
    state = verdict.state
    return {
        "file": str(verdict.path),
        "az": _az(verdict),
        "verdict": verdict.word,
        "problems": [
            {"where": each.where, "found": each.found, "expected": each.expected}
            for each in verdict.problems
        ],
        "error": verdict.error,
        "routers": [
            {"label": r.label, "logical_router": r.name, "transit_switches": r.transit_switches}
            for r in (state.routers if state is not None else ())
        ],
        "networks": [
            {"network": network, "state": word, "what": what}
            for _, network, word, what in _networks(verdict)
        ],
    }
