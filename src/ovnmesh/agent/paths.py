"""What a gateway's agent reports of its paths, and when it is worth writing.

Called by `agent.chassis`. A change of state is written at once; round-trip time and loss when they
changed materially, and seldom: a quiet mesh writes nothing. Must not touch a database.
"""

from collections.abc import Iterable, Mapping

from ovnmesh import ovn_keys as keys
from ovnmesh.agent.mtu import tunnel_mtu
from ovnmesh.agent.prober import Prober, Target
from ovnmesh.agent.tunnels import Tunnel
from ovnmesh.agent.window import Quality
from ovnmesh.model.paths import ChassisReport, Path, decode_paths, encode_paths

#: Seconds between two writings that change nothing but round-trip time or loss.
REFRESH_S = 10.0
#: Seconds after the start before the first such writing: until then little has been measured, and
#: what a previous agent wrote is better.
SETTLE_S = 12.0
#: What is material: both more than so many milliseconds and more than this share of the old value.
RTT_MS, RTT_SHARE = 2.0, 0.25
#: Loss changes by more than this: one lost probe of a window of thirty is no news, two are.
LOSS = 0.05


class Paths:
    """The paths of one node.

    Args:
        prober: measures; ended by whoever made it.
    """

    def __init__(self, prober: Prober) -> None:
        self._prober = prober
        self._tunnels: tuple[Tunnel, ...] = ()
        self._reported: tuple[Tunnel, ...] = ()
        self._refresh_s: float | None = None

    def follow(self, tunnels: tuple[Tunnel, ...], reported: tuple[Tunnel, ...]) -> None:
        """Watch these.

        Args:
            tunnels: all that the node has; the least MTU among them counts.
            reported: those whose paths are probed and reported; none to stop.
        """
        self._tunnels, self._reported = tunnels, reported
        self._prober.follow(Target(t.local_ip, t.remote_ip) for t in reported)

    def report(self) -> ChassisReport:
        """All as it is now."""
        by_chassis: dict[str, list[Path]] = {}
        for tunnel in self._reported:
            quality = self._prober.quality(Target(tunnel.local_ip, tunnel.remote_ip))
            by_chassis.setdefault(tunnel.chassis, []).append(judge(tunnel.up, quality))
        best = {chassis: best_path(paths) for chassis, paths in by_chassis.items()}
        return ChassisReport(best, tunnel_mtu(self._tunnels))

    def changes(
        self, report: ChassisReport, written: Mapping[str, str], now_s: float
    ) -> dict[str, str]:
        """Keys of Chassis_Private.external_ids that are to be written, with their values.

        Args:
            report: what is.
            written: what stands there.
            now_s: a monotonic clock, in seconds.
        """
        known = decode_paths(written.get(keys.PATHS, ""))
        if self._refresh_s is None:
            self._refresh_s = now_s + SETTLE_S
        refresh = now_s >= self._refresh_s
        paths = settle(known, report.paths, refresh)
        wanted = {keys.PATHS: encode_paths(paths)}
        if report.tunnel_mtu_bytes is not None:
            wanted[keys.TUNNEL_MTU] = str(report.tunnel_mtu_bytes)
        found = {key: value for key, value in wanted.items() if written.get(key) != value}
        if refresh and keys.PATHS in found:
            self._refresh_s = now_s + REFRESH_S
        return found


def judge(up: bool | None, quality: Quality | None) -> Path:
    """One tunnel's path.

    No answer at all while BFD is up means that somebody filters ICMP, not that packets are lost;
    and so it may be where the other end has never answered and runs no BFD.
    """
    if quality is None:
        return Path(up)
    filtered = quality.rtt_ms is None and (up or (up is None and not quality.answered))
    return Path(up) if filtered else Path(up, quality.rtt_ms, quality.loss)


def best_path(paths: Iterable[Path]) -> Path:
    """The best of parallel tunnels to one chassis, which has one for each of its addresses."""

    def rank(path: Path) -> tuple[int, float, float]:
        state = (True, None, False).index(path.up)
        loss = 1.0 if path.loss is None else path.loss
        return state, loss, path.rtt_ms or 0.0

    paths = tuple(paths)
    best = min(paths, key=rank)
    # One tunnel that was never up is no excuse for another that has died.
    down = best.up is None and any(path.up is False for path in paths)
    return Path(False, best.rtt_ms, best.loss) if down else best


def settle(
    written: Mapping[str, Path], measured: Mapping[str, Path], refresh: bool
) -> Mapping[str, Path]:
    """What is to stand in the database: the old figures, unless the new ones are news.

    Args:
        written: what stands there.
        measured: what is.
        refresh: whether figures alone may be written again.
    """

    def one(chassis: str, path: Path) -> Path:
        known = written.get(chassis)
        if known is None:
            return path
        figures = path if refresh and material(known, path) else known
        return Path(path.up, figures.rtt_ms, figures.loss)

    return {chassis: one(chassis, path) for chassis, path in measured.items()}


def material(known: Path, path: Path) -> bool:
    """Whether the figures of a path differ by more than chance."""
    if (known.rtt_ms is None, known.loss is None) != (path.rtt_ms is None, path.loss is None):
        return True
    if known.loss is not None and path.loss is not None and abs(path.loss - known.loss) > LOSS:
        return True
    if known.rtt_ms is None or path.rtt_ms is None:
        return False
    return abs(path.rtt_ms - known.rtt_ms) > max(RTT_MS, RTT_SHARE * known.rtt_ms)
