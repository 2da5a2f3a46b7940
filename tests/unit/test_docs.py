"""The documentation says what is so: commands, flags, findings, keys, metrics, links. No I/O but
reading the checkout.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main
from prometheus_client import CollectorRegistry

from ovnmesh import ovn_keys
from ovnmesh.cli.main import COMMANDS, app
from ovnmesh.model.finding import Code
from ovnmesh.web.metrics import AgentMetrics, ControllerMetrics

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
DOCS = ROOT / "docs"

#: Code of a page: a span, or a line that is indented by four. Fences are not used.
CODE = re.compile(r"`([^`\n]+)`|^ {4,}(.*)$", re.MULTILINE)
#: One space follows: a table that says who runs a site has more.
CALL = re.compile(r"(?:^|[\s/(\"$])ovnmesh ((?:-|[a-z]).*)")
#: Where the arguments of a command end in a shell.
END = re.compile(r"[|;&>#)`]|\s{2,}|,|\s--\s|\s-{3,}")
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def read(page: Path) -> str:
    return text_of(str(page.relative_to(ROOT)))


def calls(text: str) -> Iterator[list[str]]:
    """Words of every call of ovnmesh in the code of a page."""
    for inline, block in CODE.findall(text.replace("\\\n", " ")):
        for part in re.split(r"(?<=[;&|])\s|\$\(", inline or block):
            found = CALL.search(part)
            if found:
                yield END.split(found[1] + " ", maxsplit=1)[0].split()


@cache
def root():
    return typer.main.get_command(app)


@cache
def subcommand(command, name: str):
    return command.get_command(None, name) if hasattr(command, "list_commands") else None


def flags_of(command) -> set[str]:
    options = {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
    return options | {"--help", "-h"}


def takes_value(command, flag: str) -> bool:
    return any(
        flag in param.opts and not getattr(param, "is_flag", True) for param in command.params
    )


def check_call(words: list[str]) -> str:
    """What is wrong with a call; "" if nothing."""
    command = root()
    flags = flags_of(command)
    is_value = False
    for word in words:
        if is_value:
            is_value = False
        elif word.startswith("-"):
            if word.partition("=")[0] not in flags:
                return f"no flag {word}"
            is_value = "=" not in word and takes_value(command, word)
        elif hasattr(command, "list_commands"):
            found = subcommand(command, word)
            if found is None:
                return "" if word in ("...", "CMD") else f"no command {word}"
            command, flags = found, flags_of(found)
        elif not command.context_settings.get("allow_interspersed_args", True):
            return ""  # the rest is another tool's
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_flags_exist(page: Path) -> None:
    wrong = {" ".join(words): check_call(words) for words in calls(read(page))}
    assert {call: why for call, why in wrong.items() if why} == {}


def test_calls_are_found_and_judged() -> None:
    text = """
    eval "$(ovnmesh lab env az1)"; ovn-nbctl show
    ExecStart=/opt/ovnmesh/bin/ovnmesh agent --nonsense 1
    ovnmesh lab exec az1/pod0 -- ping --count 3   # ovnmesh nonsense
and `ovnmesh nonsense`, `ovnmesh route add az1 10.0.0.0/8 --via az2`"""
    found = [" ".join(words) for words in calls(text)]
    assert found == [
        "lab env az1",
        "agent --nonsense 1",
        "lab exec az1/pod0",
        "nonsense",
        "route add az1 10.0.0.0/8 --via az2",
    ]
    judged = [check_call(call.split()) for call in found]
    assert judged == ["", "no flag --nonsense", "", "no command nonsense", ""]


def test_every_command_is_documented() -> None:
    documented = {words[0] for page in PAGES for words in calls(read(page)) if words}
    assert set(COMMANDS) <= documented


def commands(command=None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, object]]:
    """Every command and group of the command line, by its words."""
    command = command or root()
    yield " ".join(("ovnmesh", *path)), command
    for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
        yield from commands(command.get_command(None, name), (*path, name))


COMMAND_LINE = list(commands())


@pytest.mark.parametrize(("name", "command"), COMMAND_LINE, ids=[name for name, _ in COMMAND_LINE])
def test_every_help_has_an_example_that_works(name: str, command) -> None:
    text = " ".join(f"{command.help or ''} {command.epilog or ''}".split())
    examples = re.findall(
        r"ovnmesh .*?(?=;| ovnmesh |$)", re.split(r"Examples?: ", text, maxsplit=1)[1]
    )
    found = [END.split(each + " ", maxsplit=1)[0].split()[1:] for each in examples]
    assert any(" ".join(("ovnmesh", *words)).startswith(name) for words in found)
    assert [words for words in found if check_call(words)] == []


@pytest.mark.parametrize(("name", "command"), COMMAND_LINE, ids=[name for name, _ in COMMAND_LINE])
def test_every_argument_has_a_help(name: str, command) -> None:
    silent = [param.name for param in command.params if not param.help]
    assert silent == []


def described(name: str) -> str:
    """What the reference says of a command: its rows, or the section of its name."""
    # After its words come arguments, flags, or the end.
    words = re.compile(rf"`{re.escape(name)}(?:`| [A-Z[-])")
    lines = [line for line in reference().splitlines() if line.startswith("| `ovnmesh")]
    rows = [line for line in lines if words.search(line.split("|")[1])]
    section = rf"^## {name.removeprefix('ovnmesh ')}\n(.*?)(?=^## |\Z)"
    return "\n".join(rows or re.findall(section, reference(), re.MULTILINE | re.DOTALL))


REFERRED = [each for each in COMMAND_LINE if not each[0].startswith("ovnmesh lab")]


@pytest.mark.parametrize(("name", "command"), REFERRED, ids=[name for name, _ in REFERRED])
def test_every_flag_is_in_the_reference_of_its_command(name: str, command) -> None:
    options = [param.opts for param in command.params if param.opts[0].startswith("-")]
    text = described(name)
    missing = [
        opts
        for opts in options
        if "--help" not in opts and not re.search(rf"[` ]({'|'.join(opts)})[` ]", text)
    ]
    assert missing == []


def test_every_flag_of_the_lab_is_on_its_page() -> None:
    text = text_of("docs/lab.md")
    pending, missing = [subcommand(root(), "lab")], set()
    while pending:
        command = pending.pop()
        pending += getattr(command, "commands", {}).values()
        for param in command.params:
            flags = [flag for flag in param.opts if flag.startswith("-")]
            if "--help" in flags or any("completion" in flag for flag in flags):
                continue
            if flags and not any(f"{flag} " in text or f"{flag}`" in text for flag in flags):
                missing.add(f"{command.name} {flags[0]}")
    assert missing == set()


def reference() -> str:
    return text_of("docs/configuration.md")


def codes_in_the_source() -> set[str]:
    """Members of `Code` that the source names, and codes that it writes without them."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "Code":
                found.add(str(Code[node.attr]))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                found |= {
                    str(each.value) for each in node.args[:1] if isinstance(each, ast.Constant)
                }
    return found


def test_findings_are_exactly_those_of_the_source() -> None:
    documented = set(re.findall(r"^### `([a-z0-9-]+)`$", text_of("docs/troubleshooting.md"), re.M))
    assert len(documented) > 15
    assert documented == {str(code) for code in Code} == codes_in_the_source()


def test_every_database_key_is_in_the_reference() -> None:
    values = [value for name, value in vars(ovn_keys).items() if name.isupper()]
    keys = {value for value in values if isinstance(value, str)}
    assert ovn_keys.OWNER in keys
    assert {key for key in keys if key not in reference()} == set()


def test_paths_in_the_architecture_exist() -> None:
    """But for the one that is to come."""
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+(?:\.[a-z]+)?)`", text_of("docs/architecture.md"))
    places = [ROOT, ROOT / "src" / "ovnmesh"]
    missing = {
        path
        for path in named
        if not any((place / f"{path}{end}").exists() for place in places for end in ("", ".py"))
    }
    assert len(set(named)) > 15
    assert missing == {"operate/trace.py"}


def test_priorities_in_the_reference_are_those_of_the_source() -> None:
    assert f"priority {ovn_keys.POLICY_PRIORITY}" in reference()
    assert f"priorities {ovn_keys.GATEWAY_PRIORITY}" in reference()


def metric_names(registry: CollectorRegistry) -> set[str]:
    return {
        family.name + ("_total" if family.type == "counter" else "")
        for family in registry.collect()
    }


def test_metrics_are_exactly_those_of_the_source() -> None:
    names = metric_names(ControllerMetrics().registry) | metric_names(AgentMetrics().registry)
    assert (
        set(re.findall(r"^\| `(ovnmesh_\w+)` \|", reference(), re.M)) - {ovn_keys.CONTROLLER_LOCK}
        == names
    )
    for page in PAGES:
        mentioned = set(re.findall(r"\bovnmesh_\w+", read(page)))
        assert mentioned <= names | {ovn_keys.CONTROLLER_LOCK}, page.name


def anchor(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    plain = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return plain.replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    broken = []
    for target in LINK.findall(CODE.sub("", read(page))):
        if "://" in target:
            continue
        name, _, fragment = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        known = HEADING.findall(read(path)) if path.suffix == ".md" and path.exists() else ()
        if not path.exists() or (fragment and fragment not in map(anchor, known)):
            broken.append(target)
    assert broken == []


def test_make_targets_exist() -> None:
    known = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.M))
    for page in PAGES:
        lines = ["".join(found) for found in CODE.findall(read(page))]
        named = {line.split()[1] for line in lines if line.startswith("make ")}
        assert named <= known, page.name


def test_decisions_have_their_three_parts() -> None:
    pages = sorted((DOCS / "adr").glob("*.md"))
    numbers = [page.name[:4] for page in pages]
    assert numbers == [f"{i:04}" for i in range(1, len(pages) + 1)]
    for page in pages:
        text = read(page)
        assert text.startswith(f"# {page.name[:4]}: "), page.name
        assert HEADING.findall(text)[1:4] == ["Context", "Decision", "Consequence"], page.name


#: Records that stay as they were written, and a page that is partly generated.
LONG = ("docs/adr/", "docs/benchmarks.md", "CHANGELOG.md")


def paragraphs(text: str) -> Iterator[str]:
    """Prose of a page: paragraphs and items of lists, without code and tables."""
    for block in re.split(r"\n\s*\n", text):
        for item in re.split(r"\n(?=\s*(?:[-*]|\d+\.) )", block):
            yield "\n".join(
                line for line in item.splitlines() if not line.startswith(("|", "    "))
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paragraphs_are_short(page: Path) -> None:
    if not str(page.relative_to(ROOT)).startswith(LONG):
        assert [each[:60] for each in paragraphs(read(page)) if len(each) > 600] == []
