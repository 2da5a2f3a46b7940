"""The commands ``ovnmesh ic-db member``: which servers the clusters have.

The rules are in `ovnmesh.icdb.cluster.members`.
"""

from typing import Annotated

import typer

from ovnmesh.cli import output
from ovnmesh.cli.arguments import OutputForm
from ovnmesh.cli.ic_db.arguments import RunDir, pick_run_dir
from ovnmesh.cli.output import Output

member_app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show and remove servers of the clustered databases, on any node of the cluster.",
    epilog="Example: ovnmesh ic-db member list",
)


@member_app.command("list", epilog="Example: ovnmesh ic-db member list -o json")
def member_list(
    ctx: typer.Context,
    run_dir: RunDir = None,
    form: OutputForm = Output.TABLE,
) -> None:
    """Show the servers of both databases, as the server on this node sees them.

    CONNECTED is what this node knows. The leader hears from every follower. A follower knows only
    to whom it has a connection.
    """
    from ovnmesh.icdb.cluster.members import read_members

    statuses = read_members(pick_run_dir(ctx, run_dir))
    rows = [
        {
            "database": db.schema,
            "cluster": status.cluster,
            "server": member.server,
            "address": member.address,
            "role": member.role if status.leader else "no leader",
            "connected": member.connected,
            "here": member.here,
        }
        for db, status in statuses.items()
        for member in sorted(status.members, key=lambda member: member.address)
    ]
    if form is Output.JSON:
        output.emit_json(rows)
        return
    output.table(
        "Servers (* on this node)",
        ("DATABASE", "SERVER", "ADDRESS", "ROLE", "CONNECTED"),
        (
            (
                row["database"],
                f"{row['server']}{'*' if row['here'] else ''}",
                row["address"],
                row["role"],
                "yes" if row["connected"] else "no",
            )
            for row in rows
        ),
    )


@member_app.command("remove", epilog="Example: ovnmesh ic-db member remove 192.168.65.2")
def member_remove(
    ctx: typer.Context,
    member: Annotated[
        str,
        typer.Argument(
            metavar="MEMBER",
            help="Address of a node, for its servers of both databases, or the id of one server.",
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Remove it even if it leads.")] = False,
    run_dir: RunDir = None,
) -> None:
    """Remove a server that is gone for good. A new one may then take its place.

    The command refuses unless more than half of the servers that stay are connected. A server that
    is removed while it runs ends, and does not come back before its files are moved away.
    """
    from ovnmesh.icdb.cluster.members import (
        check_removal,
        find_members,
        read_members,
        remove_member,
    )

    statuses = read_members(pick_run_dir(ctx, run_dir))
    found = find_members(statuses, member)
    for db, each in found.items():
        check_removal(db, statuses[db], each, force)
    with output.progress("member remove") as step:
        for db, each in found.items():
            remove_member(pick_run_dir(ctx, run_dir), db, each, step)
    for db, each in found.items():
        output.stderr().print(f"{db.schema}: server {each.server} at {each.address} is removed")
