"""Events: what changed between two statuses, in words for `kubectl describe` and `get events`.

Called by the publisher. Pure. The status itself is the memory: a controller that starts anew, or
takes over, sees what its predecessor told and does not repeat it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ovnmesh.providers.kubernetes.status import Status

COMPONENT = "ovnmesh-controller"
_MAX_MESSAGE = 1024
"""Longest message the API server takes (Kubernetes, validation of core/v1 Event)."""


@dataclass(frozen=True, slots=True)
class News:
    """One thing to tell.

    Attributes:
        reason: in CamelCase, for machines.
        message: for people.
        warning: whether somebody should look.
    """

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class About:
    """The object an Event is about.

    Attributes:
        api_version: its apiVersion.
        kind: its kind.
        name: its name.
        uid: its UID.
        namespace: its namespace, "" for a cluster-scoped object.
    """

    api_version: str
    kind: str
    name: str
    uid: str
    namespace: str = ""


def find_news(before: Status, after: Status) -> tuple[News, ...]:
    """What happened between two statuses."""
    return (*_state_news(before, after), *_gateway_news(before, after), *_findings(before, after))


def _state_news(before: Status, after: Status) -> Iterator[News]:
    old, new = before.get("state", "idle"), after["state"]
    az = after.get("availabilityZone") or before.get("availabilityZone") or ""
    if old != new:
        if new == "joined" and old not in ("disconnected", "error"):
            yield News("Joined", f"this cluster is connected as availability zone {az}")
        elif new == "joined":
            yield News("Recovered", f"availability zone {az} is connected and up to date again")
        elif new == "idle":
            yield News("Left", f"this cluster has left the mesh (was {az})" if az else "not joined")
        elif new in ("joining", "leaving"):
            yield News(new.capitalize(), f"this cluster is {new}")
        elif new == "refused":
            yield News("Refused", "nothing is changed until what is wrong is mended", True)
    was = before.get("availabilityZone")
    if was and az and was != az:
        yield News("Renamed", f"availability zone {was} is now {az}")


def _gateway_news(before: Status, after: Status) -> Iterator[News]:
    old, new = before.get("activeGateway") or "", after.get("activeGateway") or ""
    if old and new and old != new:
        # A gateway that is still configured did not give its traffic away of its own accord.
        lost = set(old.split(",")) & set(after.get("gateways") or ())
        reason = "Failover" if lost else "GatewayChanged"
        yield News(reason, f"traffic between the clusters moved from {old} to {new}", bool(lost))


def _findings(before: Status, after: Status) -> Iterator[News]:
    old = {_identity(finding): finding for finding in before.get("findings") or ()}
    new = {_identity(finding): finding for finding in after.get("findings") or ()}
    for key in sorted(set(new) - set(old)):
        finding = new[key]
        yield News(_camel(finding["code"]), finding["message"], finding["severity"] != "info")
    still = {(code, subject) for code, subject, _ in new}
    for code, subject, _ in sorted(set(old) - set(new)):
        if (code, subject) not in still:
            yield News(f"{_camel(code)}Resolved", f"resolved: {subject}")


def _identity(finding: dict[str, str]) -> tuple[str, str, str]:
    return finding["code"], finding["subject"], finding["message"]


def _camel(code: str) -> str:
    return "".join(word.capitalize() for word in code.split("-"))


def make_event(news: News, about: About, instance: str, now: str) -> dict[str, Any]:
    """The Event object; the same news about the same object has the same name.

    Args:
        news: what to tell.
        about: the object it is about.
        instance: name of this controller's pod or host.
        now: the time, RFC 3339 in UTC.
    """
    message = news.message
    if len(message) > _MAX_MESSAGE:
        message = message[: _MAX_MESSAGE - 3] + "..."
    digest = hashlib.sha256(f"{about.uid}\n{news.reason}\n{message}".encode()).hexdigest()[:16]
    involved = {
        "apiVersion": about.api_version,
        "kind": about.kind,
        "name": about.name,
        "uid": about.uid,
    }
    if about.namespace:
        involved["namespace"] = about.namespace
    return {
        "apiVersion": "v1",
        "kind": "Event",
        # Events about cluster-scoped objects are kept in "default" (Kubernetes, client-go record).
        "metadata": {
            "name": f"{about.name}.{digest}",
            "namespace": about.namespace or "default",
        },
        "involvedObject": involved,
        "type": "Warning" if news.warning else "Normal",
        "reason": news.reason,
        "message": message,
        "source": {"component": COMPONENT, "host": instance},
        "reportingComponent": COMPONENT,
        "reportingInstance": instance,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
