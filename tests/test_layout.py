"""Who may import whom, and what the pure modules may not touch. Arrows go one way; a new arrow is a line below."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("crdt_server", "documents", "storage")

# Module or package -> what it may import besides the standard library. The longest name that fits a module counts.
# Nobody but the wiring imports app, cli or serve.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "documents": ("documents", "fractional_indexing", "pycrdt"),
    "storage": ("storage", "sqlalchemy", "alembic", "aiosqlite", "asyncpg", "redis"),
    "crdt_server.client": ("httpx",),
    "crdt_server.counters": (),
    "crdt_server.errors": (),
    "crdt_server.memory": (),
    "crdt_server.names": ("documents",),
    "crdt_server.operations": (),
    "crdt_server.settings": ("pydantic", "pydantic_settings"),
    "crdt_server.logs": ("structlog",),
    "crdt_server.metrics": ("crdt_server.counters", "prometheus_client"),
    "crdt_server.protocol": ("crdt_server.protocol", "crdt_server.errors", "msgspec"),
    "crdt_server.access": (
        "crdt_server.access",
        "crdt_server.errors",
        "cryptography",
        "documents.categories",
        "documents.registry",
        "jwt",
    ),
    "crdt_server.fetch": ("httptools",),
    "crdt_server.files": ("crdt_server.errors", "crdt_server.files", "obstore", "puremagic"),
    "crdt_server.pipe": ("crdt_server.access.identity", "crdt_server.operations", "crdt_server.records", "msgspec"),
    "crdt_server.progress_mark": (),
    "crdt_server.records": ("msgspec",),
    "crdt_server.judge": (
        "crdt_server.errors",
        "crdt_server.judge",
        "crdt_server.memory",
        "crdt_server.operations",
        "crdt_server.pipe",
        "crdt_server.progress_mark",
        "crdt_server.records",
        "msgspec",
        "crdt_server.protocol",
        "documents",
        "orjson",
        "pycrdt",
    ),
    "crdt_server.hosts": (
        "crdt_server.hosts",
        "crdt_server.metrics",
        "crdt_server.operations",
        "crdt_server.pipe",
        "crdt_server.progress_mark",
        "crdt_server.records",
        "crdt_server.rooms",
        "documents.registry",
        "structlog",
    ),
    "crdt_server.rooms": (
        "crdt_server.access.identity",
        "crdt_server.access.limits",
        "crdt_server.counters",
        "crdt_server.errors",
        "crdt_server.pipe",
        "crdt_server.protocol",
        "crdt_server.records",
        "crdt_server.rooms",
        "documents.registry",
        "msgspec",
    ),
    "crdt_server.hub": (
        "crdt_server.access",
        "crdt_server.counters",
        "crdt_server.errors",
        "crdt_server.hosts",
        "crdt_server.hub",
        "crdt_server.memory",
        "crdt_server.metrics",
        "crdt_server.operations",
        "crdt_server.pipe",
        "crdt_server.protocol",
        "crdt_server.records",
        "crdt_server.rooms",
        "crdt_server.settings",
        "documents.kind",
        "documents.registry",
        "storage",
        "structlog",
    ),
    "crdt_server.cluster": (
        "crdt_server.access.identity",
        "crdt_server.cluster",
        "crdt_server.errors",
        "crdt_server.hub.event_notifier",
        "crdt_server.hub.request_session",
        "crdt_server.pipe",
        "crdt_server.protocol",
        "crdt_server.records",
        "crdt_server.rooms",
        "msgspec",
        "storage",
        "structlog",
    ),
    "crdt_server.transport": (
        "crdt_server.access",
        "crdt_server.counters",
        "crdt_server.errors",
        "crdt_server.hub",
        "crdt_server.names",
        "crdt_server.protocol",
        "crdt_server.rooms",
        "crdt_server.transport",
        "picows",
        "starlette",
        "structlog",
    ),
    "crdt_server.api": (
        "crdt_server.access",
        "crdt_server.api",
        "crdt_server.errors",
        "crdt_server.files",
        "crdt_server.hosts.jobs",
        "crdt_server.hub",
        "crdt_server.names",
        "crdt_server.operations",
        "crdt_server.protocol",
        "crdt_server.rooms",
        "crdt_server.services",
        "documents.categories",
        "documents.derived",
        "documents.events.rules",
        "documents.field_rules",
        "documents.fields",
        "documents.invariants.review",
        "documents.kind",
        "documents.registry",
        "documents.sentences",
        "fastapi",
        "pydantic",
        "pydantic_core",
        "starlette",
        "storage",
        "structlog",
    ),
    "crdt_server.services": (
        "crdt_server.access",
        "crdt_server.errors",
        "crdt_server.files",
        "crdt_server.services",
        "documents.field_rules",
        "documents.kind",
        "documents.registry",
        "storage",
    ),
    "crdt_server.services.messaging": (
        "crdt_server.access",
        "crdt_server.counters",
        "crdt_server.errors",
        "crdt_server.metrics",
        "crdt_server.services",
        "documents.categories",
        "documents.derived",
        "documents.events.rules",
        "documents.invariants.instants",
        "documents.invariants.model",
        "cryptography",
        "storage",
        "structlog",
    ),
    # What leaves the server: mail, SMS, push, webhooks, and their texts.
    "crdt_server.services.messaging.channels": (
        "aiosmtplib",
        "crdt_server.services.messaging",
        "crdt_server.settings",
        "cryptography",
        "documents.sentences",
        "http_ece",
        "httpcore",
        "jwt",
    ),
    "crdt_server.services.messaging.texts": (
        "crdt_server.access.threads",
        "crdt_server.services.messaging",
        "documents.sentences",
        "jinja2",
    ),
    "crdt_server.web": ("starlette",),
    "crdt_server.explain": ("crdt_server.access", "documents"),
    "crdt_server.offline": (
        "crdt_server.hosts",
        "crdt_server.hub.bookings",
        "crdt_server.hub.stored_documents",
        "crdt_server.pipe",
        "crdt_server.settings",
        "documents",
        "storage",
    ),
    "crdt_server.repair": (
        "crdt_server.hosts",
        "crdt_server.hub.commit",
        "crdt_server.hub.retention",
        "crdt_server.offline",
        "crdt_server.settings",
        "documents",
        "storage",
    ),
    "crdt_server.maintenance": (
        "crdt_server.files",
        "crdt_server.hosts",
        "crdt_server.offline",
        "crdt_server.hub",
        "crdt_server.pipe",
        "crdt_server.settings",
        "documents",
        "storage",
    ),
    "crdt_server": (*PACKAGES, "click", "fastapi", "pydantic", "starlette", "structlog", "uvicorn", "uvloop"),
}
ONLY_HOSTS_AND_DOCUMENTS = ("crdt_server.judge", "documents")

# Modules without a rule of their own: they may import any of our packages.
WIRING = {
    "crdt_server",
    *(
        f"crdt_server.{name}"
        for name in (
            "__main__",
            "app",
            "asgi_sockets",
            "cli",
            "editing",
            "file_sweeps",
            "http_connections",
            "key_source",
            "member_commands",
            "messaging",
            "open_files",
            "options",
            "outbox_commands",
            "sample",
            "schema_commands",
            "search_commands",
            "serve",
            "workers",
        )
    ),
}
LOADED_BY_NAME = {"aiosqlite", "uvloop"}

# Packages that still import one another.
CIRCLES: set[str] = set()

# Of the judge: what runs a process, reads a clock, or collects garbage.
IMPURE_JUDGE = tuple(
    f"crdt_server.judge.{name}" for name in ("cpu_limit", "dry_run", "held_documents", "process", "slices")
)
# Values come in, values go out.
PURE = ("documents", "crdt_server.protocol", "crdt_server.access", "crdt_server.rooms", "crdt_server.judge")
FORBIDDEN_IMPORTS = {
    "asyncio", "concurrent", "gc", "http", "io", "logging", "mmap", "multiprocessing", "os", "pathlib", "random",
    "secrets", "select", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib",
    "uuid",
}  # fmt: skip
FORBIDDEN_CALLS = {"input", "now", "open", "print", "today", "utcnow"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def package_of(module: str) -> str:
    """The unit in which circles are counted: documents, storage, and each package of crdt_server, also those within
    packages, and each module beside them."""
    if not module.startswith("crdt_server."):
        return module.partition(".")[0]
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    return module if package == "crdt_server" else package


def within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def imports(module: str) -> Iterator[str]:
    """Every module that `module` imports anywhere in its text, by its full name."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                name = f"{source}.{alias.name}"
                yield name if name in MODULES else source


def impurities(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith):
            yield f"line {node.lineno}: {type(node).__name__}"
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            if name in FORBIDDEN_CALLS:
                yield f"line {node.lineno}: {name}()"


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    command = [sys.executable, "-c", code]
    return set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())


def rule_of(module: str) -> str:
    """The longest name in MAY_IMPORT that fits a module."""
    return max((name for name in MAY_IMPORT if within(module, (name,))), key=len)


@pytest.mark.parametrize("module", MODULES)
def test_arrows_go_one_way(module: str) -> None:
    rule = rule_of(module)
    foreign = {name for name in imports(module) if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name for name in foreign if not within(name, MAY_IMPORT[rule])} == set()


def test_only_document_hosts_and_kinds_know_pycrdt() -> None:
    knowing = {module for module in MODULES if any(within(name, ("pycrdt",)) for name in imports(module))}
    assert {module for module in knowing if not within(module, ONLY_HOSTS_AND_DOCUMENTS)} == set()


@pytest.mark.parametrize(
    "module", [module for module in MODULES if within(module, PURE) and module not in IMPURE_JUDGE]
)
def test_pure_modules_know_no_clock_chance_or_waiting(module: str) -> None:
    assert {name for name in imports(module) if name.partition(".")[0] in FORBIDDEN_IMPORTS} == set()
    assert list(impurities(ast.parse(MODULES[module].read_text()))) == []


def package_graph() -> dict[str, set[str]]:
    """Package -> the packages it imports."""
    graph: dict[str, set[str]] = {package_of(module): set() for module in MODULES}
    for module in MODULES:
        graph[package_of(module)] |= {package_of(name) for name in imports(module) if name in MODULES}
    return graph


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """Packages that `start` imports, directly or not; itself only where a circle leads back to it."""
    found: set[str] = set()
    waiting = list(graph[start] - {start})
    while waiting:
        package = waiting.pop()
        if package not in found:
            found.add(package)
            waiting += graph[package] - {package}
    return found


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The largest sets of packages that all import one another, directly or not."""
    below = {package: reachable(graph, package) for package in graph}
    found: list[set[str]] = []
    for package in sorted(graph):
        circle = {other for other in below[package] if package in below[other]}
        if circle and circle not in found:
            found.append(circle)
    return found


def test_packages_form_no_circle() -> None:
    """CIRCLES lists the packages that are in one. It may only shrink."""
    inside = set().union(*circles(package_graph()))
    assert inside - CIRCLES == set()
    assert CIRCLES - inside == set(), "no longer in a circle: remove the entries"


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"b", "c"}, "c": {"a"}, "d": {"a", "e"}, "e": {"e"}, "f": {"g"}, "g": {"f"}}
    assert circles(graph) == [{"a", "b", "c"}, {"f", "g"}]


def test_every_rule_is_about_something() -> None:
    assert {name for name in MAY_IMPORT if name not in MODULES} == set()
    assert {module for module in MODULES if rule_of(module) == "crdt_server"} == WIRING
    assert {module for module in IMPURE_JUDGE if module not in MODULES} == set()


@pytest.mark.parametrize("rule", MAY_IMPORT)
def test_every_arrow_is_used(rule: str) -> None:
    used = {name for module in MODULES if rule_of(module) == rule for name in imports(module)}
    unused = {arrow for arrow in MAY_IMPORT[rule] if not any(within(name, (arrow,)) for name in used)}
    assert unused - LOADED_BY_NAME == set()


@pytest.mark.parametrize("module", ["crdt_server.app", "crdt_server.cli"])
def test_the_serving_process_never_loads_pycrdt(module: str) -> None:
    loaded = loaded_after(f"import {module}")
    assert module in loaded
    assert {name for name in loaded if within(name, ("pycrdt",))} == set()


def test_a_document_host_loads_neither_store_nor_server() -> None:
    loaded = loaded_after("import crdt_server.judge.process")
    banned = (
        "storage",
        "sqlalchemy",
        "starlette",
        "fastapi",
        "uvicorn",
        "picows",
        *(
            f"crdt_server.{name}"
            for name in ("api", "cluster", "hosts", "hub", "rooms", "services", "settings", "transport")
        ),
    )
    assert {name for name in loaded if within(name, banned)} == set()
