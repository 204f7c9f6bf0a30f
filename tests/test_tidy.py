"""The house keeps itself: arrows between packages, pure cores, sizes, docstrings, reasons, and no door forgotten.

Each rule is a function from a file's text to what is wrong with it, so that a planted fault shows that it bites.
"""

import ast
import io
import json
import re
import subprocess
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FUNCTIONS = ROOT / "functions"
INFRA = ROOT / "infra"

# What a package may import of ours while it is itself being imported; infra may import everything.
MAY_IMPORT: dict[str, set[str]] = {
    "metering": set(),
    "billing": {"metering"},
    "adapters": {"metering", "billing"},
    "portal": {"metering", "billing"},
    "handlers": {"metering", "billing", "adapters", "portal"},
    "taximeter": {"metering", "billing"},
    "infra": {"metering", "billing", "adapters", "portal", "handlers", "taximeter"},
}
OURS = {*MAY_IMPORT, "tests"}
PURE = ("metering", "billing")

# All that the pure packages need of others: nothing here knows a clock, a network, a file or chance.
PURE_IMPORTS = {
    *("abc", "base64", "bisect", "collections", "dataclasses", "datetime", "decimal", "enum", "fractions", "functools"),
    *("hashlib", "heapq", "hmac", "itertools", "json", "math", "operator", "re", "string", "typing", "zlib"),
    "zoneinfo",
    *("iso4217", "pydantic", "pydantic_core", "typing_extensions"),
}
EXACT_MATH = {"ceil", "comb", "floor", "gcd", "isqrt", "lcm", "prod"}
CLOCKS = {"now", "utcnow", "today"}
MOST_LINES_OF_A_FILE = 300
Fault = tuple[int, str]
Rule = Callable[[str, str], Iterator[Fault]]


def python_files(*folders: Path) -> list[Path]:
    """Every Python file under these folders, apart from what tools leave behind."""
    return sorted(each for folder in folders for each in folder.rglob("*.py") if "__pycache__" not in each.parts)


def package_of(path: Path) -> str:
    """`metering` of functions/metering/events.py, `infra` of infra/app.py."""
    return path.relative_to(FUNCTIONS).parts[0] if path.is_relative_to(FUNCTIONS) else path.relative_to(ROOT).parts[0]


def imported(tree: ast.AST, *, when_loaded: bool) -> Iterator[tuple[int, str]]:
    """Names of modules as they are imported, with lines; `when_loaded` leaves out what functions import when called."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Import):
            yield from ((child.lineno, alias.name) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            if child.module and not child.level:  # a relative one stays in its package
                yield child.lineno, child.module
        elif not (when_loaded and (isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or _for_types(child))):
            yield from imported(child, when_loaded=when_loaded)


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def wrong_arrows(source: str, package: str) -> Iterator[Fault]:
    """Arrows: metering ← billing ← adapters ← handlers; the client and its command load neither of the last two."""
    # Of our own, only the command may reach further, and only when it is called.
    for line, name in imported(ast.parse(source), when_loaded=package == "taximeter"):
        top = name.split(".")[0]
        if top in OURS and top != package and top not in MAY_IMPORT[package]:
            yield line, f"{package} imports {name}"


def impure(source: str, package: str) -> Iterator[Fault]:
    """No network, clock, environment or chance in the pure packages: only what is known to have none."""
    tree = ast.parse(source)
    for line, name in imported(tree, when_loaded=False):
        if name.split(".")[0] not in PURE_IMPORTS | {package} | MAY_IMPORT[package]:
            yield line, f"imports {name}"
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="datetime" | "date"), attr=attr) if attr in CLOCKS:
                yield node.lineno, f"reads the clock with {attr}"
            case ast.Call(func=ast.Name(id="open" | "print" | "input" | "eval" | "exec" | "__import__" as name)):
                yield node.lineno, f"calls {name}"


def inexact(source: str, _package: str) -> Iterator[Fault]:
    """No binary floating point in the pure packages; only to be refused may it be named."""
    tree = ast.parse(source)
    refusing = {
        id(name)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance"
        for name in ast.walk(node.args[1])
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=float() | complex() as value):
                yield node.lineno, f"writes {value!r}"
            case ast.Name(id="float" | "complex" as name) if id(node) not in refusing:
                yield node.lineno, f"uses {name}"
            case ast.Attribute(value=ast.Name(id="math"), attr=attr) if attr not in EXACT_MATH:
                yield node.lineno, f"uses math.{attr}"


def too_long(source: str, package: str) -> Iterator[Fault]:
    """Functions of 40 lines in the pure packages and 60 elsewhere, files of 300, at most."""
    most = 40 if package in PURE else 60
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > most:
                yield node.lineno, f"{node.name} has {lines} lines, more than {most}"
    lines = len(source.splitlines())
    if lines > MOST_LINES_OF_A_FILE:
        yield lines, f"the file has {lines} lines, more than {MOST_LINES_OF_A_FILE}"


def undocumented(source: str, _package: str) -> Iterator[Fault]:
    """Public modules, classes, functions and methods say what they mean."""
    tree = ast.parse(source)
    if tree.body and not ast.get_docstring(tree):
        yield 1, "the module has no docstring"
    yield from _undocumented_in(tree)


def _undocumented_in(parent: ast.Module | ast.ClassDef) -> Iterator[Fault]:
    for node in parent.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                yield node.lineno, f"{node.name} has no docstring"
            if isinstance(node, ast.ClassDef):
                yield from _undocumented_in(node)


IGNORE = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma:|ruff:|mypy:|nosec|isort:)", re.IGNORECASE)
# What is ignored, and then words that say why.
REASONED = re.compile(
    r"#\s*(?:noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|type: ignore\[[a-z, -]+\]|pragma: no cover)"
    r"\s*(?:-|#)\s*\w.*\w{3}"
)


def unreasoned(source: str, _package: str) -> Iterator[Fault]:
    """Every ignore names what it ignores and carries its reason."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            for found in IGNORE.finditer(token.string):
                if not REASONED.match(token.string[found.start() :]):
                    yield token.start[0], f"has no reason: {token.string}"


def unfinished(text: str, _package: str) -> Iterator[Fault]:
    """Nothing is left to be done later in a comment."""
    for line, written in enumerate(text.splitlines(), 1):
        if re.search(r"\b(TODO|FIXME|HACK)\b", written):
            yield line, written.strip()[:80]


# Paths of the machine on which something was made, and the places from which packages come.
MACHINE = re.compile(r"(?<![\w.$}~/-])/(?:home|root|Users|work|farm|opt/(?:pypi|wheels)|tmp/(?:venv|plan|bash_jobs))/")
REGISTRY = re.compile(
    r"https?://[^/\s\"']*(?:pypi|pythonhosted|npmjs|registry|artifactory|nexus|codeartifact|mirror)[^/\s\"']*"
    r"|https?://[^\s\"']+/simple\b|file://[^\s\"']+"
)
PUBLIC = ("https://pypi.org", "https://files.pythonhosted.org")


def bound_to_a_machine(text: str, name: str) -> Iterator[Fault]:
    """No path of one machine anywhere, no package registry anywhere but the public one in the lock file."""
    for line, written in enumerate(text.splitlines(), 1):
        hosts = [each for each in REGISTRY.findall(written) if not (name == "uv.lock" and each.startswith(PUBLIC))]
        if hosts or MACHINE.search(written):
            yield line, written.strip()[:100]


def faults(rule: Rule, paths: list[Path]) -> list[str]:
    """What a rule finds in these files, ready to be clicked."""
    return [
        f"{path.relative_to(ROOT)}:{line}: {fault}"
        for path in paths
        for line, fault in rule(path.read_text(encoding="utf-8"), package_of(path))
    ]


CODE = python_files(FUNCTIONS, INFRA)
PURE_CODE = python_files(*(FUNCTIONS / each for each in PURE))


@pytest.mark.parametrize(
    ("rule", "paths"),
    [
        (wrong_arrows, CODE),
        (impure, PURE_CODE),
        (inexact, PURE_CODE),
        (too_long, CODE),
        (undocumented, CODE),
        (unreasoned, [*CODE, *python_files(ROOT / "tests")]),
    ],
)
def test_the_code_keeps_the_rule(rule: Rule, paths: list[Path]) -> None:
    assert paths
    assert faults(rule, paths) == [], rule.__doc__


def tracked() -> list[Path]:
    """Every text file that is, or is about to be, in the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - git, with our own words
    # This file alone spells what it forbids.
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name and ROOT / name != Path(__file__)]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8_000]]


@pytest.mark.parametrize("rule", [unfinished, bound_to_a_machine])
def test_the_files_keep_the_rule(rule: Rule) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {fault}"
        for path in tracked()
        for line, fault in rule(path.read_text(encoding="utf-8"), path.name)
    ]
    assert found == [], rule.__doc__


def doors() -> set[str]:
    """The Lambda functions: the files of functions/handlers without an underscore before them."""
    return {path.stem for path in (FUNCTIONS / "handlers").glob("*.py") if not path.name.startswith("_")}


def placed() -> set[str]:
    """The names that infra gives to `OurFunction`, each of which becomes a function of the template."""
    names = set()
    for path in python_files(INFRA):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "OurFunction":
                given = [*node.args[1:2], *(each.value for each in node.keywords if each.arg == "name")]
                names |= {each.value for each in given if isinstance(each, ast.Constant)}
    return {name for name in names if isinstance(name, str)}


def test_every_handler_is_a_function_of_the_template_and_the_other_way_round() -> None:
    assert doors() == placed()


def test_every_handler_has_a_handler() -> None:
    for name in sorted(doors()):
        tree = ast.parse((FUNCTIONS / "handlers" / f"{name}.py").read_text(encoding="utf-8"))
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assigned = {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        assert "handler" in defined | assigned, f"handlers/{name}.py"


def test_every_handler_has_sample_events() -> None:
    missing = sorted(name for name in doors() if not list((ROOT / "events" / name).glob("*.json")))
    assert missing == [], "each needs a folder under events/ with at least one JSON file"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "events").rglob("*.json")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_every_sample_event_is_json(path: Path) -> None:
    json.loads(path.read_text(encoding="utf-8"))


def test_every_test_that_a_page_of_laws_names_exists() -> None:
    existing = {
        node.name
        for path in python_files(ROOT / "tests")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    for page in [*FUNCTIONS.glob("*/README.md"), *INFRA.rglob("README.md")]:
        named = set(re.findall(r"`(?:[\w/.]+::)?(test_\w+)`", page.read_text(encoding="utf-8")))
        assert named <= existing, f"{page.relative_to(ROOT)} names what is not there: {sorted(named - existing)}"


@pytest.mark.parametrize("package", [each for each in PURE if (FUNCTIONS / each / "README.md").exists()])
def test_every_law_names_a_test_that_holds_it(package: str) -> None:
    page = (FUNCTIONS / package / "README.md").read_text(encoding="utf-8")
    laws = re.split(r"^(?=\d+\. )", page, flags=re.MULTILINE)[1:]
    assert laws
    assert [law.splitlines()[0] for law in laws if not re.search(r"`(?:[\w/.]+::)?test_\w+`", law)] == []


PLANTED: list[tuple[Rule, str, str, bool]] = [
    (wrong_arrows, "metering", "from billing.money import rounded", True),
    (wrong_arrows, "metering", "def read():\n    import adapters.events", True),
    (wrong_arrows, "metering", "from .events import Event", False),
    (wrong_arrows, "billing", "import handlers", True),
    (wrong_arrows, "billing", "from metering.events import Event", False),
    (wrong_arrows, "adapters", "from handlers._live import live", True),
    (wrong_arrows, "handlers", "from infra.app import main", True),
    (wrong_arrows, "taximeter", "try:\n    from adapters.memory import Memory\nexcept ImportError:\n    pass", True),
    (wrong_arrows, "taximeter", "def up():\n    from infra.local import cloud", False),
    (wrong_arrows, "taximeter", "if TYPE_CHECKING:\n    from infra.local import cloud", False),
    (wrong_arrows, "metering", "if TYPE_CHECKING:\n    from billing.plans import Plan", True),
    (impure, "metering", "import boto3", True),
    (impure, "metering", "def now():\n    import time", True),
    (impure, "billing", "from random import choice", True),
    (impure, "billing", "import os\nos.environ['X']", True),
    (impure, "billing", "import socket", True),
    (impure, "billing", "from datetime import UTC, datetime\ndatetime.now(UTC)", True),
    (impure, "billing", "from datetime import date\ntoday = date.today", True),
    (impure, "billing", "from metering.times import DAY\nfrom decimal import Decimal", False),
    (impure, "metering", "def f(clock):\n    return clock.now", False),
    (inexact, "metering", "rate = 0.1", True),
    (inexact, "metering", "rate = float('1')", True),
    (inexact, "metering", "def f(rate: float) -> None: ...", True),
    (inexact, "metering", "import math\nmath.sqrt(2)", True),
    (inexact, "metering", "isinstance(1, float)", False),
    (inexact, "metering", "isinstance(1, str | float)", False),
    (too_long, "metering", "def f():\n" + "    pass\n" * 40, True),
    (too_long, "metering", "def f():\n" + "    pass\n" * 39, False),
    (too_long, "handlers", "def f():\n" + "    pass\n" * 59, False),
    (too_long, "handlers", "def f():\n" + "    pass\n" * 60, True),
    (too_long, "infra", "x = 1\n" * 301, True),
    (undocumented, "metering", "x = 1", True),
    (undocumented, "metering", '"""It."""\ndef f(): ...', True),
    (undocumented, "metering", '"""It."""\nclass A:\n    """It."""\n    def f(self): ...', True),
    (undocumented, "metering", '"""It."""\ndef _f(): ...', False),
    (undocumented, "metering", "", False),
    (unreasoned, "metering", "x = 1  # noqa", True),
    (unreasoned, "metering", "x = 1  # noqa: S101", True),
    (unreasoned, "metering", "x = 1  # noqa: S101 - a reason", False),
    (unreasoned, "metering", "x = 1  # type: ignore", True),
    (unreasoned, "metering", "x = 1  # type: ignore[arg-type]", True),
    (unreasoned, "metering", "x = 1  # type: ignore[arg-type]  # it has no types", False),
    (unreasoned, "metering", "# ruff: noqa", True),
    (unfinished, "metering", "# TODO: later", True),
    (unfinished, "metering", "# this is done", False),
    (bound_to_a_machine, "x.md", "see /home/someone/project", True),
    (bound_to_a_machine, "x.md", "run /opt/pypi/simple", True),
    (bound_to_a_machine, "x.md", "https://pypi.example.org/simple", True),
    (bound_to_a_machine, "x.md", "https://pypi.org/simple", True),
    (bound_to_a_machine, "uv.lock", "https://pypi.org/simple", False),
    (bound_to_a_machine, "uv.lock", "https://mirror.example.org/simple", True),
    (bound_to_a_machine, "x.md", "https://docs.example.org/work/here and tests/work/", False),
]


@pytest.mark.parametrize(("rule", "package", "source", "bites"), PLANTED)
def test_a_planted_fault_is_found_and_nothing_else_is(rule: Rule, package: str, source: str, bites: bool) -> None:
    assert bool(list(rule(source, package))) == bites
