"""``ovnmesh ic-db``, put together from its commands; without one it serves the databases."""

import typer

from ovnmesh.cli.ic_db.backup import BACKUP_EXAMPLE, RESTORE_EXAMPLE, backup, restore
from ovnmesh.cli.ic_db.member import member_app
from ovnmesh.cli.ic_db.serve import EXAMPLES, serve

app = typer.Typer(add_completion=False, invoke_without_command=True, pretty_exceptions_enable=False)
app.callback(epilog=EXAMPLES)(serve)
app.command("backup", epilog=BACKUP_EXAMPLE)(backup)
app.command("restore", epilog=RESTORE_EXAMPLE)(restore)
app.add_typer(member_app, name="member")
