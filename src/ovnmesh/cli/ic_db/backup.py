"""The commands ``ovnmesh ic-db backup`` and ``ovnmesh ic-db restore``.

What may be restored is decided in `ovnmesh.icdb.backup.restore`.
"""

from pathlib import Path
from typing import Annotated

import typer

from ovnmesh.cli import output
from ovnmesh.cli.arguments import OutputForm
from ovnmesh.cli.ic_db.arguments import RunDir, pick_run_dir
from ovnmesh.cli.output import Output

BACKUP_EXAMPLE = "Example: ovnmesh ic-db backup /var/backups/ic-2026-11-22.tar.gz"
RESTORE_EXAMPLE = "Example: ovnmesh ic-db restore /var/backups/ic-2026-11-22.tar.gz --dry-run"


def backup(
    ctx: typer.Context,
    target: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|DIR",
            help="New archive (*.tar, *.tar.gz, *.tgz, *.tar.xz), or new folder.",
        ),
    ],
    run_dir: RunDir = None,
    form: OutputForm = Output.TABLE,
) -> None:
    """Back up both databases while they are served, on any node.

    The backup holds two standalone database files, in which rows keep their UUIDs, and a manifest.
    A new ovnmesh ic-db that has it as data directory serves the same mesh.
    """
    from datetime import UTC, datetime

    from ovnmesh.icdb.backup.archive import make_backup

    with output.progress("backup") as step:
        step(str(target))
        manifest = make_backup(pick_run_dir(ctx, run_dir), target, datetime.now(UTC))
    if form is Output.JSON:
        output.emit_json(manifest)
        return
    databases = manifest["databases"]
    output.table(
        f"Backup {target}",
        ("DATABASE", "SCHEMA", "CLUSTER", "FILE"),
        (
            (name, entry["schema_version"], entry["cluster"] or "-", entry["file"])
            for name, entry in databases.items()
        ),
    )
    stale = [name for name, entry in databases.items() if not entry["connected"]]
    if stale:
        output.stderr().print(
            f"warning: {', '.join(stale)} has no leader here; the backup holds what this node had "
            "last"
        )


def restore(
    ctx: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(metavar="FILE|DIR", help="A backup that ovnmesh ic-db backup has made."),
    ],
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Make both databases exactly what the backup holds, even if that changes tunnel "
            "keys of living sites. It interrupts traffic between sites.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, but change nothing.")
    ] = (False),
    run_dir: RunDir = None,
    form: OutputForm = Output.TABLE,
) -> None:
    """Restore the databases that are served here from a backup, without stopping them.

    IC-NB gets back the transit switches and claims that are missing; nothing is taken away. IC-SB
    is restored if no site has registered in it. If sites use it with the tunnel keys of the backup,
    it stays as it is: the sites keep it up to date. If they use other keys, neither database is
    restored.

    Rows keep their UUIDs. With --force each database becomes exactly what the backup holds. If
    tunnel keys changed, run on every chassis: ovn-appctl -t ovn-controller inc-engine/recompute
    """
    from ovnmesh.icdb.backup.archive import open_backup
    from ovnmesh.icdb.backup.restore import apply_restore, prepare_restore

    with open_backup(source) as opened, output.progress("restore") as step:
        step(f"reading {source}")
        prepared = prepare_restore(pick_run_dir(ctx, run_dir), opened, force)
        if not dry_run:
            for each in prepared:
                step(f"{each.db.schema}: {len(each.plan.operations)} operations")
                apply_restore(pick_run_dir(ctx, run_dir), each)
    rows = [
        {
            "database": each.db.schema,
            "what": what,
            "text": text,
        }
        for each in prepared
        for what, texts in (
            ("would change" if dry_run else "changed", each.plan.changes),
            ("kept", each.plan.kept),
        )
        for text in texts
    ]
    if form is Output.JSON:
        output.emit_json(rows)
    elif rows:
        cells = ((row["database"], row["what"], row["text"]) for row in rows)
        output.table(f"Restore {source}", ("DATABASE", "", "WHAT"), cells)
    else:
        output.stderr().print("the databases hold what the backup holds; nothing to do")
