"""Settings of a controller process. Made by the command line; must not hold secrets."""

from dataclasses import dataclass
from pathlib import Path

from ovnmesh.model.remote import Remote
from ovnmesh.ovn_keys import DEFAULT_ROUTER


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """How to reach the site.

    Attributes:
        nb: where the northbound database is.
        sb: where the southbound database is.
        run_dir: folder for ovn-ic's sockets, pid file and log.
        router: name of the cluster's logical router.
        resync_s: seconds between unprompted whole passes.
        check_s: seconds between checks of the connections.
        leave_patience_s: how long leaving waits for agents to unmark their nodes.
    """

    nb: Remote
    sb: Remote
    run_dir: Path
    router: str = DEFAULT_ROUTER
    resync_s: float = 300.0
    check_s: float = 10.0
    leave_patience_s: float = 5.0
