"""Edits of configuration files that keep every comment: one line is changed, in place.

Knows no keys but `enable-ic`.
"""

import os
import re
import tempfile
from pathlib import Path

from ovnmesh.errors import ConfigError, Problem

_LINE = re.compile(
    r"""^(?P<before>\s*enable-ic\s*:\s*)(?P<value>"[^"]*"|'[^']*'|[^\s#]*)(?P<after>\s*(?:\#.*)?)$""",
    re.MULTILINE,
)


def set_enabled(text: str, wanted: bool) -> str:
    """The content of a site file with `enable-ic` as wanted.

    Args:
        text: the content.
        wanted: join, or leave.
    """
    word = "true" if wanted else "false"
    found = _LINE.search(text)
    if found is None:
        # Left out it means true.
        return text if wanted else f"{text.rstrip()}\nenable-ic: {word}\n"
    if found["value"].strip("\"'") == word:
        return text
    return text[: found.start("value")] + word + text[found.end("value") :]


def disable_manifest(text: str) -> str:
    """The content of a file of manifests with `enable-ic` "false" where it is true."""
    return _LINE.sub(
        lambda m: (
            f'{m["before"]}"false"{m["after"]}' if m["value"].strip("\"'") == "true" else m[0]
        ),
        text,
    )


def replace_file(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old content or the new one, and nothing between.

    Raises:
        ConfigError: it cannot be written.
    """
    # Through a link, so that the link stays one.
    target = path.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
        with tempfile.NamedTemporaryFile(
            "w", dir=target.parent, prefix=".", delete=False, encoding="utf-8"
        ) as new:
            new.write(text)
        os.chmod(new.name, mode)
        os.replace(new.name, target)
    except OSError as error:
        raise ConfigError(
            [Problem(str(path), f"{error.strerror}", "a file that can be written")]
        ) from error


def replace_if_new(path: Path, text: str) -> None:
    """Write a file unless it says that already.

    Raises:
        ConfigError: it cannot be written.
    """
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        replace_file(path, text)
