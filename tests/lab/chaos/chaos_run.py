"""Runs the steps of a seed on a lab, measures traffic, and tells what happened."""

import os
import random
import shutil
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import evidence
from chaos_action import Action, nothing
from chaos_bounds import CHANGES as CHANGE_BOUNDS
from chaos_bounds import FAULTS as FAULT_BOUNDS
from chaos_bounds import USUAL_BFD_MS, Bound, allowed_ms
from chaos_changes import CHANGES
from chaos_faults import FAULTS
from chaos_lab import ChaosLab
from chaos_plan import Step, plan_shape, plan_steps
from ovnmesh.lab.boot import teardown
from ovnmesh.lab.network import netns
from ovnmesh.lab.ping import PingResult
from ovnmesh.lab.values.layout import prefix_of

MAKERS = {**FAULTS, **CHANGES}
BOUNDS = {**FAULT_BOUNDS, **CHANGE_BOUNDS}
INTERVAL_MS = 20.0


class ChaosFailure(AssertionError):
    """A run that failed; its message is the whole story."""


class ChaosRun:
    """One lab, one seed.

    Attributes:
        seed: of the run.
        worst_ms: longest gaps by kind, of steps with one blow.
    """

    def __init__(self, seed: int, rounds: int, folder: Path) -> None:
        self.seed, self.rounds, self.folder = seed, rounds, folder
        self.steps = plan_steps(seed, rounds)
        self.worst_ms: dict[str, list[float]] = defaultdict(list)
        self._began = time.monotonic()
        self._story: list[str] = []

    def run(self) -> None:
        """Do everything; afterwards no process and no namespace of the lab is left.

        Raises:
            ChaosFailure: something was not as it should be; logs have been saved.
        """
        shape = plan_shape(self.seed)
        self.tell(f"seed {self.seed}, {self.rounds} rounds, {shape}")
        try:
            self.lab = ChaosLab(self.folder, shape.ic_nodes, shape.ts_count)
            self.tell(f"joined with {self.lab.joined_with}")
            for step in self.steps:
                self._take(step)
            self.tell("first configuration again")
            self.lab.restore()
            self.tell("compared with a fresh mesh")
            self.lab.assert_as_fresh()
            self.tell("leaving")
            self.lab.assert_leaving_restores()
        except Exception as exc:
            raise ChaosFailure(self._tell_failure(exc)) from exc
        finally:
            teardown.down(self.folder)
        left = netns.names(f"{prefix_of(self.folder.resolve())}-")
        assert not left, f"namespaces left over: {left}"
        shutil.rmtree(logs_of(self.seed), ignore_errors=True)  # of an attempt before this one
        self.tell("nothing left over")

    def tell(self, line: str) -> None:
        self._story.append(f"{time.monotonic() - self._began:8.2f} s  {line}")
        print(self._story[-1], flush=True)

    def _tell_failure(self, exc: Exception) -> str:
        logs = save_logs(self.folder, self.seed)
        story = "\n".join(self._story)
        why = "".join(traceback.format_exception(exc))
        return (
            f"seed {self.seed} failed:\n{story}\n{why}\nlogs and databases: {logs}\n"
            f"replay: make chaos SEED={self.seed} ROUNDS={self.rounds}"
        )

    # --- steps ----------------------------------------------------------------------------------

    def _take(self, step: Step) -> None:
        self.tell(f"step {step.number}: {' + '.join(step.kinds)}")
        worst_ms, limit_ms = self._do(step)
        assert worst_ms <= limit_ms, (
            f"step {step.number}: traffic rested for {worst_ms:.0f} ms, allowed are "
            f"{limit_ms:.0f} ms"
        )
        if len(step.kinds) == 1:
            self.worst_ms[step.kinds[0]].append(worst_ms)

    def _do(self, step: Step) -> tuple[float, float]:
        """Longest gap, and what is allowed."""
        lab, dice = self.lab, random.Random(step.seed)
        actions = [MAKERS[kind](lab, dice, BOUNDS[kind]) for kind in step.kinds]
        bounds = [action.bound for action in actions] + self._no_reserve(actions)
        slower_ms = max(0.0, lab.bfd_ms() - USUAL_BFD_MS)
        watched, control = self._pairs(actions, dice)
        before = lab.active_gateways()
        with lab.trains(*watched, *control, interval_ms=INTERVAL_MS) as results:
            began = time.monotonic()
            for action in actions:
                self._act(action.what, action.do)
                time.sleep(step.pause_s)
            time.sleep(step.hold_s)
            actions.reverse()
            actions.sort(key=lambda action: action.last)
            for action in actions:
                if action.undo is not nothing:
                    self._act(f"undo: {action.what}", action.undo)
            window_ms = (time.monotonic() - began) * 1000
            lab.settle()
        after = lab.active_gateways()
        self.tell(f"  gateways: {before}" + (f" -> {after}" if after != before else ""))
        slower_ms = max(slower_ms, lab.bfd_ms() - USUAL_BFD_MS)
        found, noise = results[: len(watched)], results[len(watched) :]
        limit_ms = allowed_ms(bounds, window_ms, slower_ms)
        return self._judge(found, noise, limit_ms)

    def _act(self, what: str, call: Callable[[], object]) -> None:
        self.tell(f"  {what}")
        said = call()
        if isinstance(said, str) and said:
            self.tell(f"    {said}")

    def _judge(
        self, found: list[PingResult], noise: list[PingResult], limit_ms: float
    ) -> tuple[float, float]:
        worst_ms, noise_ms = worst(found, limit_ms), worst(noise, limit_ms)
        if noise_ms:
            evidence.note(f"a control train of a step of chaos rested for {noise_ms:.0f} ms")
        self.tell(
            f"  well: longest gap {worst_ms:.0f} ms, allowed {limit_ms:.0f} + {2 * noise_ms:.0f} "
            f"ms, load {os.getloadavg()[0]:.1f}"
        )
        return worst_ms, limit_ms + 2 * noise_ms

    def _no_reserve(self, actions: list[Action]) -> list[Bound]:
        """Nobody can take over where there is one gateway, before or after a change."""
        gateways = min(len(self.lab.gateways(site)) for site in self.lab.names)
        gateways = min([gateways, *(action.gateways for action in actions)])
        broken = any(
            action.bound.moves and action.bound in FAULT_BOUNDS.values() for action in actions
        )
        return [Bound(0, "no gateway in reserve", lasts=True)] if gateways < 2 and broken else []

    def _pairs(
        self, actions: list[Action], dice: random.Random
    ) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Pairs across sites whose nodes are well; pairs inside that show the machine's noise."""
        dead = {node for action in actions for node in action.dead}
        near = dead | {node for action in actions for node in action.near}
        one, other = (self.lab.pods_on(site, dead) for site in self.lab.names)
        watched = [
            (dice.choice(one), dice.choice(other)),
            (dice.choice(other), dice.choice(one)),
        ]
        control = []
        for site in self.lab.names:
            calm = self.lab.pods_on(site, near)
            if len(calm) > 1:
                control.append((calm[0], calm[-1]))
        return watched, control


def worst(results: list[PingResult], limit_ms: float) -> float:
    """Longest gap in milliseconds; where none is allowed, each lost packet counts as one."""
    least_ms = 0.0 if limit_ms else INTERVAL_MS
    return max((max(r.longest_gap_ms, r.lost * least_ms) for r in results), default=0.0)


def logs_of(seed: int) -> Path:
    """Where logs and databases of a failed run stay."""
    return Path(os.environ.get("CHAOS_LOGS") or tempfile.gettempdir()) / f"ovnmesh-chaos-{seed}"


def save_logs(folder: Path, seed: int) -> Path:
    """Copy logs and databases of a lab to where they stay."""
    kept = logs_of(seed)
    shutil.rmtree(kept, ignore_errors=True)
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix in (".log", ".db", ".yaml", ".json"):
            target = kept / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return kept
