"""Operations on rows in words, for commands that show what would be done.

Called by `ovnmesh openstack`. Formats; decides nothing.
"""

from collections.abc import Iterator, Mapping

from ovnmesh.model.changes import (
    Batch,
    Content,
    Delete,
    Expect,
    Insert,
    Item,
    MergeKeys,
    Named,
    Update,
    Uuid,
)


def describe_batch(batch: Batch) -> Iterator[str]:
    """One line for each change of a transaction; conditions are left out."""
    for operation in batch.operations:
        if isinstance(operation, Insert):
            yield f"insert {operation.table} {_columns(operation.columns)}"
        elif isinstance(operation, Update):
            yield f"set {operation.table} {operation.uuid} {_columns(operation.columns)}"
        elif isinstance(operation, MergeKeys):
            column = f"{operation.table}.{operation.column}"
            if operation.put:
                yield f"set {column} {_text(operation.put)}"
            if operation.remove:
                yield f"remove {column} {', '.join(sorted(operation.remove))}"
        elif isinstance(operation, Delete):
            yield f"delete {operation.table} {operation.uuid}"
        else:
            assert isinstance(operation, Expect)


def _columns(columns: Mapping[str, Content]) -> str:
    return " ".join(f"{name}={_text(value)}" for name, value in columns.items())


def _text(value: Content) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={value[key]}" for key in sorted(value)) or "{}"
    if isinstance(value, frozenset):
        return "[" + ", ".join(sorted(map(_item, value))) + "]"
    return _item(value)


def _item(value: Item) -> str:
    if isinstance(value, Named):
        return f"the new {value.name}"
    return value.value if isinstance(value, Uuid) else str(value)
