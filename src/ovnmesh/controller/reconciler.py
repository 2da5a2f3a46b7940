"""The loop: look, plan, apply, tell. Level-triggered; no state lives here that a restart loses.

Called by `ovnmesh controller`. Any change anywhere only says "look again"; a pass reads the
input and the databases whole, plans, applies, and reports. Several controllers of one site may
run: the OVSDB lock on its northbound database decides which one acts. Must not contain rules
about rows: those are in `plan`.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from ovnmesh.controller.ic_access import IcAccess
from ovnmesh.controller.intent import Intent, decide_intent
from ovnmesh.controller.outcome import Outcome, soonest
from ovnmesh.controller.ovn_ic import OvnIc, OvnIcArguments
from ovnmesh.controller.patience import Patience
from ovnmesh.controller.settings import ControllerSettings
from ovnmesh.controller.site_databases import SiteDatabases
from ovnmesh.errors import OvnmeshError, OvsdbError, ProviderError, ProviderPending, StalePlan
from ovnmesh.model.backoff import Backoff
from ovnmesh.model.changes import Db, Plan
from ovnmesh.model.finding import Code, Finding, Severity, with_advice
from ovnmesh.model.interconnect import Interconnect
from ovnmesh.model.northbound import Northbound
from ovnmesh.model.observed import Observed
from ovnmesh.model.remote import Remote
from ovnmesh.model.report import PassReport, SiteState, SiteView
from ovnmesh.ovsdb.database import Database
from ovnmesh.plan.leave import joined, plan_leave
from ovnmesh.plan.rows.status_record import plan_status
from ovnmesh.plan.site import plan_site
from ovnmesh.providers.base import Provider, Wish
from ovnmesh.views.site_summary import view_site

LOG = logging.getLogger(__name__)

#: Events arrive in bursts (one OVSDB transaction, several tables): wait this long for the rest.
COALESCE_S = 0.003
FIRST_BACKOFF_S = 0.1
LAST_BACKOFF_S = 10.0
#: Seconds given to a provider that is reading its input for the first time. The record may be out
#: of date: of a site that is to leave it says "joined" until the end.
FIRST_READING_S = 10.0


class Reconciler:
    """Keeps one site as its provider says.

    Args:
        settings: how to reach the site.
        provider: where the configuration comes from.
        observer: told of every pass; must return at once.
        clock: seconds that only grow (time.monotonic); tests turn it.
    """

    def __init__(
        self,
        settings: ControllerSettings,
        provider: Provider,
        observer: Callable[[PassReport], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._provider = provider
        self._observer = observer
        self._clock = clock
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._dirty = True
        self._input_changed = True
        self._input: Wish | None = None
        self._input_error = ""
        self._input_pending = False
        self._record_counts_s = clock() + FIRST_READING_S
        self._site = SiteDatabases(settings, self.wake, clock)
        self._ic = IcAccess(self.wake, clock)
        self._ovn_ic = OvnIc(settings.run_dir, self.wake, clock)
        self._told: frozenset[Finding] = frozenset()
        self._told_state: SiteState | None = None
        self._patience = Patience(clock)
        self._backoff = Backoff(FIRST_BACKOFF_S, LAST_BACKOFF_S)
        self._turned_s = clock()
        self._acting = False

    @property
    def idle_s(self) -> float:
        """Seconds since the loop last turned; far above `check_s` it hangs."""
        return self._clock() - self._turned_s

    @property
    def ready(self) -> bool:
        """Whether the input has been read and the site's databases answer; standing by counts."""
        return self._told_state not in (None, SiteState.CONNECTING) and self._site.live

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
        next_resync = self._clock() + self._settings.resync_s
        again_s: float | None = 0.0
        try:
            while True:
                self._turned_s = self._clock()
                if self._wake.wait(self._settings.check_s if again_s is None else again_s):
                    time.sleep(COALESCE_S)
                    self._wake.clear()
                if self._stopping.is_set():
                    break
                if self._clock() >= next_resync:
                    next_resync = self._clock() + self._settings.resync_s
                    self._input_changed = self._dirty = True
                if self._dirty or again_s is not None or self._connections_changed():
                    again_s = self._guarded_pass()
        finally:
            self._ovn_ic.stop()
            self._ic.close()
            self._site.close()

    def _on_input(self) -> None:
        self._input_changed = True
        self.wake()

    def _connections_changed(self) -> bool:
        live = self._site.live and (self._ic.unused or self._ic.live)
        return live == (self._told_state is SiteState.DISCONNECTED)

    def _guarded_pass(self) -> float | None:
        """One pass; whatever goes wrong is told and tried again later.

        Returns:
            Seconds after which to pass again unprompted, or None.
        """
        self._dirty = False
        started = self._clock()
        try:
            outcome = self._pass()
        except StalePlan:
            LOG.debug("rows changed under the plan, planning again")
            return 0.0
        except OvnmeshError as error:
            outcome = self._failed(error)
        except Exception as error:
            # The loop must survive its own mistakes: traffic does not depend on it, healing does.
            LOG.exception("site=%s: a pass failed unexpectedly", self._settings.nb)
            outcome = self._failed(error)
        else:
            self._backoff.succeeded()
        if outcome.record is not None:
            self._record(outcome.record, outcome.state, outcome.findings)
        self._tell(outcome, self._clock() - started)
        return outcome.again_s

    def _failed(self, error: Exception) -> Outcome:
        finding = Finding(Code.PASS_FAILED, type(error).__name__, str(error))
        return Outcome(
            SiteState.ERROR,
            (finding,),
            self._backoff.failed(),
            input_ok=not self._input_error,
            record=self._place_of_failure(),
        )

    def _place_of_failure(self) -> Northbound | None:
        """Where a failure is to be recorded; nowhere if it was reading that place that failed."""
        if not (self._site.live and self._site.nb.has_lock):
            return None
        try:
            return self._site.northbound()
        except Exception as error:
            LOG.debug("failure not recorded: %s", error)
            return None

    def _pass(self) -> Outcome:
        self._read_input()
        if self._site.connecting:
            return Outcome(SiteState.CONNECTING)
        if not self._site.live:
            lost = self._site.error or "a database of the site does not answer"
            finding = Finding(Code.SITE_UNREACHABLE, "NB, SB", f"{lost}; traffic is not affected")
            return Outcome(SiteState.DISCONNECTED, (finding,))
        reading_s = self._record_counts_s - self._clock()
        if self._input_pending and reading_s > 0:
            return Outcome(SiteState.CONNECTING, again_s=reading_s)
        nb = self._site.northbound()
        intent = decide_intent(self._input, self._input_error, nb.record)
        intent = replace(intent, findings=with_advice(intent.findings, self._provider.advice))
        if intent.desired is None and not (intent.leave and joined(nb)):
            return self._rest(nb, intent)
        self._ic.open(intent)
        self._ic.follow_leaders()
        if not self._site.nb.has_lock:
            return self._stand_by(nb, intent)
        return self._act(nb, intent)

    def _read_input(self) -> None:
        if not self._input_changed:
            return
        self._input_changed = self._input_pending = False
        try:
            self._input, self._input_error = self._provider.read(), ""
        except ProviderPending:
            self._input, self._input_error, self._input_pending = None, "", True
        except ProviderError as error:
            self._input, self._input_error = None, str(error)

    def _rest(self, nb: Northbound, intent: Intent) -> Outcome:
        """Nothing to join or leave: make sure that nothing runs."""
        self._ovn_ic.stop()
        self._ic.close()
        self._patience.note({})
        return Outcome(
            SiteState.IDLE,
            intent.findings,
            input_ok=intent.input_ok,
            view=SiteView(),
            record=nb if self._site.nb.has_lock else None,
        )

    def _stand_by(self, nb: Northbound, intent: Intent) -> Outcome:
        """Another controller acts; keep an ovn-ic at hand, which waits for its own lock."""
        again_s = None
        if intent.leave or nb.record is None or nb.name != nb.record.az_name:
            self._ovn_ic.stop()
        elif self._ic.live and not self._ic.read().transit_switches:
            self._ovn_ic.stop()  # it would delete the site's switches (see `plan.site`)
        else:
            again_s = self._ensure_ovn_ic()
        return Outcome(SiteState.STANDBY, intent.findings, again_s, input_ok=intent.input_ok)

    def _act(self, nb: Northbound, intent: Intent) -> Outcome:
        if self._ic.connecting:
            if not nb.name and not joined(nb):
                # Nameless, it writes nothing (ovn-ic.c, az_run); started now, it has read all
                # databases by the time the name is claimed.
                self._run_ovn_ic(intent.ic_nb, intent.ic_sb)
            return Outcome(SiteState.CONNECTING, intent.findings, input_ok=intent.input_ok)
        moved = self._ic.try_move(lambda ic: self._plan_against(intent, ic))
        if not self._ic.live:
            electing_s = self._ic.election_s()
            if electing_s > 0:
                return self._await_election(intent, electing_s)
            return self._without_ic(nb, intent, moved)
        observed = self._site.observe(intent, self._ic.read(), self._ovn_ic.version)
        if observed is None:  # rows are on their way and will wake us
            return self._as_told(intent)
        plan = self._plan(intent, observed)
        due_s = self._patience.note(plan.pending)
        return Outcome(
            plan.state,
            (*intent.findings, *moved, *plan.findings),
            soonest(due_s, self._apply(plan), self._site.again_s),
            len(plan.batches),
            intent.input_ok,
            view_site(observed),
            record=observed.nb if plan.settled else None,
        )

    def _as_told(self, intent: Intent, again_s: float | None = None) -> Outcome:
        """Nothing new can be said."""
        state = self._told_state or SiteState.CONNECTING
        return Outcome(state, tuple(self._told), again_s, input_ok=intent.input_ok)

    def _plan_against(self, intent: Intent, ic: Interconnect) -> Plan | None:
        observed = self._site.observe(intent, ic, self._ovn_ic.version)
        return self._plan(intent, observed) if observed is not None else None

    def _plan(self, intent: Intent, observed: Observed) -> Plan:
        ages = self._patience.ages()
        if intent.desired is None:
            return plan_leave(observed, ages, self._settings.leave_patience_s)
        plan = plan_site(intent.desired, observed, ages)
        return replace(plan, findings=with_advice(plan.findings, self._provider.advice))

    def _await_election(self, intent: Intent, electing_s: float) -> Outcome:
        """A cluster without a leader is about to have one: no reason for an alarm yet."""
        ovn_ic_s = None if intent.leave else self._ensure_ovn_ic()
        return self._as_told(intent, soonest(electing_s, ovn_ic_s, self._ic.follow_again_s))

    def _without_ic(self, nb: Northbound, intent: Intent, moved: tuple[Finding, ...]) -> Outcome:
        reason = self._ic.reason
        finding = Finding(
            Code.IC_UNREACHABLE,
            str(intent.ic_sb),
            "the interconnection databases cannot be reached"
            f"{': ' + reason if reason else ''}. Expected: `ovnmesh ic-db` (or ovn-ctl) serves "
            "them there. Established traffic is not affected; changes wait until they answer.",
        )
        ovn_ic_s = None if intent.leave else self._ensure_ovn_ic()
        return Outcome(
            SiteState.DISCONNECTED,
            (*intent.findings, *moved, finding),
            soonest(ovn_ic_s, self._ic.follow_again_s),
            input_ok=intent.input_ok,
            record=nb,
        )

    def _apply(self, plan: Plan) -> float | None:
        if not plan.run_ovn_ic or plan.pause_ovn_ic:
            self._ovn_ic.stop()
        try:
            for batch in plan.batches:
                LOG.info("%s: %s (%d operations)", batch.db.name, batch.why, len(batch.operations))
                self._database(batch.db).apply(batch)
        except OvsdbError:
            # Rows may be half done, above all in databases that do not know this site yet: ovn-ic
            # must not meet them. It runs on as before.
            self._ovn_ic.revive()
            raise
        return self._ensure_ovn_ic() if plan.run_ovn_ic else None

    def _ensure_ovn_ic(self) -> float | None:
        """Keep ovn-ic running; it copes with databases that go away by itself."""
        if self._ic.databases is None:
            return None
        ic_nb, ic_sb = self._ic.databases
        return self._run_ovn_ic(ic_nb.address, ic_sb.address)

    def _run_ovn_ic(self, ic_nb: Remote, ic_sb: Remote) -> float | None:
        site = self._site
        arguments = OvnIcArguments(site.nb.address, site.sb.address, ic_nb, ic_sb)
        return self._ovn_ic.ensure(arguments, self._ic.members)

    def _database(self, db: Db) -> Database:
        databases = (self._site.nb, self._site.sb, *(self._ic.databases or ()))
        found: Database = next(database for database in databases if database.db is db)
        return found

    def _record(self, nb: Northbound, state: SiteState, findings: tuple[Finding, ...]) -> None:
        try:
            batch = plan_status(nb, state, findings)
            if batch is not None:
                self._site.nb.apply(batch)
        except OvsdbError as error:
            LOG.debug("status not recorded: %s", error)
        except Exception:
            # As for a pass: the loop must survive its own mistakes.
            LOG.exception("site=%s: status not recorded", self._settings.nb)

    def _tell(self, outcome: Outcome, duration_s: float) -> None:
        """Log what is new and what is over; an unchanged situation logs nothing."""
        now = frozenset(outcome.findings)
        for finding in sorted(now - self._told):
            level = logging.ERROR if finding.severity is Severity.ERROR else logging.WARNING
            LOG.log(level, "%s %s: %s", finding.code, finding.subject, finding.message)
        for finding in sorted(self._told - now):
            LOG.info("resolved: %s %s", finding.code, finding.subject)
        if outcome.state != self._told_state:
            LOG.info("state=%s", outcome.state)
        self._told, self._told_state = now, outcome.state
        if self._site.live:
            self._acting = self._site.nb.has_lock
        databases = (self._site.nb, self._site.sb, *(self._ic.databases or ()))
        self._observer(
            PassReport(
                outcome.state,
                outcome.findings,
                outcome.transactions,
                duration_s,
                connected={database.db.value: database.connected for database in databases},
                input_ok=outcome.input_ok,
                ovn_ic_restarts=self._ovn_ic.restarts,
                view=outcome.view,
                acting=self._acting,
            )
        )
