"""Makes database files of several schemas and states; not collected by itself."""

import json
import subprocess


def older_schema(db, tmp_path, version="0.9.0"):
    """The installed schema with another version and without a column that it has."""
    schema = json.loads(db.schema_file.read_text())
    schema["version"] = version
    del schema["cksum"]
    del schema["tables"][db.global_table]["columns"]["options"]
    path = tmp_path / f"{db.short}-{version}.ovsschema"
    path.write_text(json.dumps(schema))
    return path


def make_file(db, data, schema):
    data.mkdir(exist_ok=True)
    subprocess.run(["ovsdb-tool", "create", db.file(data), schema], check=True)
