"""Every exception ovnmesh raises on purpose.

    OvnmeshError
    |-- ConfigError          bad input; a retry cannot help until somebody edits it
    |-- ProviderError        the source of configuration cannot be read; a retry can help
    |   `-- ProviderPending  it is being read for the first time
    |-- OvsdbError
    |   |-- OvsdbUnavailable a database cannot be reached; a retry can help
    |   |-- OvsdbRejected    a database refused a transaction; a retry after re-reading can help
    |   `-- StalePlan        rows changed between reading and writing; plan again
    |-- ProcessError         a daemon did not start or died; a retry can help
    |-- IcDbError            the interconnection databases cannot be served; needs a person
    `-- LabError             the lab cannot do what was asked; needs a person

Called by every layer; imports nothing of ovnmesh. A message says where, what was found, what was
expected and what to do next. Foreign exceptions are mapped to these at one boundary per library.
"""

from collections.abc import Iterable
from dataclasses import dataclass


class OvnmeshError(Exception):
    """Root of the tree.

    Attributes:
        retryable: whether doing the same again, unchanged, can succeed.
    """

    retryable = False


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with the input.

    Attributes:
        where: document and field, e.g. ``ConfigMap kube-system/ovn-ic-config, data.az-name``.
        found: what stands there, quoted.
        expected: what should stand there, and what to do next.
    """

    where: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.where}: found {self.found}; expected {self.expected}"


class ConfigError(OvnmeshError):
    """The input is wrong; carries every problem at once.

    Attributes:
        problems: all problems found, in the order of the document.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ProviderError(OvnmeshError):
    """The source of configuration (a folder, an API) cannot be read at the moment."""

    retryable = True


class ProviderPending(ProviderError):
    """The source of configuration is being read for the first time: no reason for an alarm."""


class OvsdbError(OvnmeshError):
    """Something about an OVSDB server or its content."""


class OvsdbUnavailable(OvsdbError):
    """A database cannot be reached."""

    retryable = True


class OvsdbRejected(OvsdbError):
    """A database refused a transaction (constraint, permission, schema)."""

    retryable = True


class StalePlan(OvsdbError):
    """A row the plan relies on changed or went between reading and writing."""

    retryable = True


class ProcessError(OvnmeshError):
    """A process did not start, did not become ready, or died."""

    retryable = True


class IcDbError(OvnmeshError):
    """The interconnection databases cannot be served as asked."""


class LabError(OvnmeshError):
    """The lab cannot do what was asked."""
