"""The loop: look, plan, apply, tell. Level-triggered; no state lives here that a restart loses.

Called by `ovnmesh controller`. Any change anywhere only says "look again"; a pass reads the
input and the databases whole, plans, applies, and reports. Several controllers of one site may
run: the OVSDB lock on its northbound database decides which one acts. Must not contain rules
about rows: those are in `plan`.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from ovnmesh import ovn_keys as keys
from ovnmesh.config import recorded_config
from ovnmesh.controller.ic_access import IcAccess
from ovnmesh.controller.intent import Intent, decide_intent
from ovnmesh.controller.ovn_ic import OvnIc, OvnIcArguments
from ovnmesh.controller.patience import Patience
from ovnmesh.controller.settings import ControllerSettings
from ovnmesh.controller.site_access import SiteAccess
from ovnmesh.errors import OvnmeshError, OvsdbError, ProviderError, ProviderPending, StalePlan
from ovnmesh.model.changes import Db, Plan
from ovnmesh.model.desired import SiteRecord, decode_record
from ovnmesh.model.finding import Code, Finding, Severity, with_advice
from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.observed import Observed
from ovnmesh.model.reading import observe_interconnect
from ovnmesh.model.report import PassReport, SiteView
from ovnmesh.model.southbound import Southbound
from ovnmesh.ovsdb.database import Database
from ovnmesh.plan.leave import joined, plan_leave
from ovnmesh.plan.rows.status import plan_status
from ovnmesh.plan.site import plan_site
from ovnmesh.providers.base import Provider, ProviderState
from ovnmesh.views.summary import view_site

LOG = logging.getLogger(__name__)

#: Events arrive in bursts (one OVSDB transaction, several tables): wait this long for the rest.
COALESCE_S = 0.003
FIRST_BACKOFF_S = 0.1
LAST_BACKOFF_S = 10.0


class Reconciler:
    """Keeps one site as its provider says.

    Args:
        settings: how to reach the site.
        provider: where the configuration comes from.
        observer: told of every pass; must return at once.
    """

    def __init__(
        self,
        settings: ControllerSettings,
        provider: Provider,
        observer: Callable[[PassReport], None],
    ) -> None:
        self._settings = settings
        self._provider = provider
        self._observer = observer
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._dirty = True
        self._input_changed = True
        self._input: ProviderState | None = None
        self._input_error = ""
        self._site = SiteAccess(settings, self.wake)
        self._ic = IcAccess(self.wake)
        self._ovn_ic = OvnIc(settings.run_dir, self.wake)
        self._told: frozenset[Finding] = frozenset()
        self._told_state = ""
        self._leaving_since: float | None = None
        self._patience = Patience()
        self._backoff_s = 0.0
        self._turned_s = time.monotonic()
        self._acting = False

    @property
    def idle_s(self) -> float:
        """Seconds since the loop last turned; far above `check_s` it hangs."""
        return time.monotonic() - self._turned_s

    @property
    def ready(self) -> bool:
        """Whether the input has been read and the site's databases answer; standing by counts."""
        return self._told_state not in ("", "connecting") and self._site.live

    def wake(self) -> None:
        """Something may have changed: look again."""
        self._dirty = True
        self._wake.set()

    def stop(self) -> None:
        """End `run` after the current pass. Traffic and rows stay as they are."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Pass after pass until stopped."""
        watch = (self._on_input, self._stopping)
        threading.Thread(target=self._provider.watch, args=watch, daemon=True).start()
        next_resync = time.monotonic() + self._settings.resync_s
        delay: float | None = 0.0
        try:
            while True:
                self._turned_s = time.monotonic()
                if self._wake.wait(self._settings.check_s if delay is None else delay):
                    time.sleep(COALESCE_S)
                    self._wake.clear()
                if self._stopping.is_set():
                    break
                if time.monotonic() >= next_resync:
                    next_resync = time.monotonic() + self._settings.resync_s
                    self._input_changed = self._dirty = True
                if self._dirty or delay is not None or self._connections_changed():
                    delay = self._guarded_pass()
        finally:
            self._ovn_ic.stop()
            self._ic.close()
            self._site.close()

    def _on_input(self) -> None:
        self._input_changed = True
        self.wake()

    def _connections_changed(self) -> bool:
        live = self._site.live and (self._ic.unused or self._ic.live)
        return live == (self._told_state == "disconnected")

    def _guarded_pass(self) -> float | None:
        """One pass; whatever goes wrong is told and tried again later.

        Returns:
            Seconds after which to pass again unprompted, or None.
        """
        self._dirty = False
        started = time.monotonic()
        try:
            delay, report = self._pass()
        except StalePlan:
            LOG.debug("rows changed under the plan, planning again")
            return 0.0
        except OvnmeshError as exc:
            finding = Finding(Code.PASS_FAILED, type(exc).__name__, str(exc))
            report = self._failed(finding)
            delay = self._next_backoff()
        except Exception as exc:
            # The loop must survive its own mistakes: traffic does not depend on it, healing does.
            LOG.exception("site=%s: a pass failed unexpectedly", self._settings.nb)
            finding = Finding(Code.PASS_FAILED, type(exc).__name__, str(exc))
            report = self._failed(finding)
            delay = self._next_backoff()
        else:
            self._backoff_s = 0.0
        self._tell(report, time.monotonic() - started)
        return delay

    def _failed(self, finding: Finding) -> PassReport:
        if self._site.live and self._site.nb.has_lock:
            self._record(self._site.northbound(), "error", (finding,))
        return PassReport("error", (finding,), input_ok=not self._input_error)

    def _next_backoff(self) -> float:
        self._backoff_s = min(max(2 * self._backoff_s, FIRST_BACKOFF_S), LAST_BACKOFF_S)
        return self._backoff_s

    def _pass(self) -> tuple[float | None, PassReport]:
        self._read_input()
        if self._site.connecting:
            return None, PassReport("connecting", ())
        if not self._site.live:
            lost = self._site.error or "a database of the site does not answer"
            finding = Finding(Code.SITE_UNREACHABLE, "NB, SB", f"{lost}; traffic is not affected")
            return None, PassReport("disconnected", (finding,))
        nb = self._site.northbound()
        record = decode_record(nb.external_ids.get(keys.SITE_RECORD, ""))
        intent = decide_intent(self._input, self._input_error, record, self._settings.router)
        intent = replace(intent, findings=with_advice(intent.findings, self._provider.advice))
        if intent.desired is None and not (intent.leave and _is_joined(nb)):
            return self._rest(nb, intent)
        self._ic.open(intent)
        self._ic.follow_leaders()
        if not self._site.nb.has_lock:
            return self._stand_by(nb, intent, record)
        return self._act(nb, intent)

    def _read_input(self) -> None:
        if not self._input_changed:
            return
        self._input_changed = False
        try:
            self._input, self._input_error = self._provider.read(), ""
        except ProviderPending:
            self._input, self._input_error = None, ""
        except ProviderError as exc:
            self._input, self._input_error = None, str(exc)

    def _rest(self, nb: Northbound, intent: Intent) -> tuple[float | None, PassReport]:
        """Nothing to join or leave: make sure that nothing runs."""
        self._ovn_ic.stop()
        self._ic.close()
        self._leaving_since = None
        if self._site.nb.has_lock:
            self._record(nb, "idle", intent.findings)
        view = SiteView()
        return None, PassReport("idle", intent.findings, input_ok=intent.input_ok, view=view)

    def _stand_by(
        self, nb: Northbound, intent: Intent, record: SiteRecord | None
    ) -> tuple[float | None, PassReport]:
        """Another controller acts; keep an ovn-ic at hand, which waits for its own lock."""
        delay = None
        config = recorded_config(record)
        if intent.leave or config is None or nb.name != config.az_name:
            self._ovn_ic.stop()
        elif self._ic.live and not self._ic.read().transit_switches:
            self._ovn_ic.stop()  # it would delete the site's switches (see `plan.site`)
        else:
            delay = self._ensure_ovn_ic()
        return delay, PassReport("standby", intent.findings, input_ok=intent.input_ok)

    def _act(self, nb: Northbound, intent: Intent) -> tuple[float | None, PassReport]:
        if self._ic.connecting:
            if not nb.name and not _is_joined(nb):
                # Nameless, it writes nothing (ovn-ic.c, az_run); started now, it has read all
                # databases by the time the name is claimed.
                self._run_ovn_ic(intent.ic_nb, intent.ic_sb)
            return None, PassReport("connecting", intent.findings, input_ok=intent.input_ok)
        moved = self._ic.try_move(lambda ic: self._plan_against(intent, ic))
        if not self._ic.live:
            electing_s = self._ic.election_s()
            if electing_s > 0:
                return self._await_election(intent, electing_s)
            return self._without_ic(intent, moved)
        observed = self._site.observe(intent, self._ic.read())
        if observed is None:  # rows are on their way and will wake us
            return None, PassReport(self._told_state, tuple(self._told), input_ok=intent.input_ok)
        plan = self._plan(intent, observed)
        due_s = self._patience.note(plan.pending)
        delay = _sooner(due_s, self._apply(plan))
        findings = (*intent.findings, *moved, *plan.findings)
        state = "refused" if plan.refused else "leaving" if intent.leave else "joined"
        if plan.batches or plan.waiting:
            state = state if intent.leave else "joining"
        else:
            self._record(observed.nb, state, findings)
        if intent.leave and plan.findings:
            delay = self._settings.leave_patience_s
        view = view_site(observed)
        return delay, PassReport(
            state, findings, len(plan.batches), input_ok=intent.input_ok, view=view
        )

    def _plan_against(self, intent: Intent, ic: Interconnect) -> Plan | None:
        observed = self._site.observe(intent, ic)
        return self._plan(intent, observed) if observed is not None else None

    def _plan(self, intent: Intent, observed: Observed) -> Plan:
        if intent.desired is not None:
            self._leaving_since = None
            plan = plan_site(intent.desired, observed, self._patience.ages())
            return replace(plan, findings=with_advice(plan.findings, self._provider.advice))
        now = time.monotonic()
        if self._leaving_since is None:
            self._leaving_since = now
        return plan_leave(observed, now - self._leaving_since >= self._settings.leave_patience_s)

    def _await_election(self, intent: Intent, electing_s: float) -> tuple[float | None, PassReport]:
        """A cluster without a leader is about to have one: no reason for an alarm yet."""
        delay = None if intent.leave else self._ensure_ovn_ic()
        report = PassReport(self._told_state, tuple(self._told), input_ok=intent.input_ok)
        return min(electing_s, delay or electing_s, self._ic.follow_again_s), report

    def _without_ic(
        self, intent: Intent, moved: tuple[Finding, ...]
    ) -> tuple[float | None, PassReport]:
        reason = self._ic.reason
        finding = Finding(
            Code.IC_UNREACHABLE,
            intent.ic_sb,
            "the interconnection databases cannot be reached"
            f"{': ' + reason if reason else ''}; expected `ovnmesh ic-db` (or "
            "ovn-ctl's) to answer there. Established traffic is not affected; changes wait until "
            "they answer again.",
        )
        findings = (*intent.findings, *moved, finding)
        delay = None if intent.leave else self._ensure_ovn_ic()
        self._record(self._site.northbound(), "disconnected", findings)
        again_s = min(delay or math.inf, self._ic.follow_again_s)
        delay = again_s if again_s < math.inf else None
        return delay, PassReport("disconnected", findings, input_ok=intent.input_ok)

    def _apply(self, plan: Plan) -> float | None:
        if not plan.run_ovn_ic or plan.pause_ovn_ic:
            self._ovn_ic.stop()
        try:
            for batch in plan.batches:
                LOG.info("%s: %s (%d operations)", batch.db.name, batch.why, len(batch.operations))
                self._database(batch.db).apply(batch)
        finally:
            delay = self._ensure_ovn_ic() if plan.run_ovn_ic else None
        return delay

    def _ensure_ovn_ic(self) -> float | None:
        """Keep ovn-ic running; it copes with databases that go away by itself."""
        if self._ic.databases is None:
            return None
        ic_nb, ic_sb = self._ic.databases
        return self._run_ovn_ic(ic_nb.address, ic_sb.address)

    def _run_ovn_ic(self, ic_nb: str, ic_sb: str) -> float | None:
        site = self._site
        arguments = OvnIcArguments(site.nb.address, site.sb.address, ic_nb, ic_sb)
        return self._ovn_ic.ensure(arguments, self._ic.members)

    def _database(self, db: Db) -> Database:
        databases = (self._site.nb, self._site.sb, *(self._ic.databases or ()))
        found: Database = next(database for database in databases if database.db is db)
        return found

    def _record(self, nb: Northbound, state: str, findings: tuple[Finding, ...]) -> None:
        batch = plan_status(nb, state, findings)
        if batch is None:
            return
        try:
            self._site.nb.apply(batch)
        except OvsdbError as exc:
            LOG.debug("status not recorded: %s", exc)

    def _tell(self, report: PassReport, duration_s: float) -> None:
        """Log what is new and what is over; an unchanged situation logs nothing."""
        now = frozenset(report.findings)
        for finding in sorted(now - self._told):
            level = logging.ERROR if finding.severity is Severity.ERROR else logging.WARNING
            LOG.log(level, "%s %s: %s", finding.code, finding.subject, finding.message)
        for finding in sorted(self._told - now):
            LOG.info("resolved: %s %s", finding.code, finding.subject)
        if report.state != self._told_state:
            LOG.info("state=%s", report.state)
        self._told, self._told_state = now, report.state
        if self._site.live:
            self._acting = self._site.nb.has_lock
        databases = (self._site.nb, self._site.sb, *(self._ic.databases or ()))
        self._observer(
            replace(
                report,
                duration_s=duration_s,
                connected={database.db.value: database.connected for database in databases},
                ovn_ic_restarts=self._ovn_ic.restarts,
                acting=self._acting,
            )
        )


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _is_joined(nb: Northbound) -> bool:
    return joined(Observed(nb, Southbound(()), observe_interconnect({}, {})))
