"""What a site that is gone for good has left in the interconnection databases: found, removed.

Plans come from `plan.leave`. Two steps, so that whoever asks can look before anything is removed.
"""

from collections.abc import Sequence

from ovnmesh.access.mesh import MeshSession
from ovnmesh.model.changes import Batch
from ovnmesh.plan.leave import plan_forget


def find_leftovers(mesh: MeshSession, az: str) -> tuple[Batch, ...]:
    """What removes everything that a site has left; empty if it has left nothing.

    Args:
        mesh: the interconnection databases.
        az: AZ name of the site.
    """
    return plan_forget(az, mesh.read())


def count_leftovers(batches: Sequence[Batch]) -> int:
    """Number of rows and claims that would be removed."""
    return sum(len(batch.operations) for batch in batches)


def forget(mesh: MeshSession, batches: Sequence[Batch]) -> None:
    """Remove it.

    Args:
        mesh: the interconnection databases.
        batches: from `find_leftovers`.
    """
    for batch in batches:
        mesh.apply(batch)
