"""The import table of the architecture: who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "transformers", "datasets", "duckdb", "matplotlib")
# package -> what it must never import, at any depth of the file
FORBIDDEN = {
    "audit": ("reimpl",),
    "reimpl": ("audit", "reports"),
    "reports": ("audit", "reimpl", "data_manifests"),
}
# room -> the rooms of `audit` it may import, besides itself
COMPUTING = {"accounting": set(), "overlap": set()}
# what only the command line does; the rest returns, raises, or writes to a console it is given
SPEAKS = {"print", "input", "exit", "quit", "SystemExit", "sys.exit", "os.getenv", "os.environ", "os.environ.get"}
SPEAKS |= {"Console", "sys.stdout.write", "sys.stderr.write", "typer.echo", "typer.prompt", "typer.Exit"}
ORDER = ["types", "records", "subject", "check", "checks", "run", "cli"]


def modules(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        yield name, path


def imports(path: Path) -> set[str]:
    """Every module named in an import statement, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def used(path: Path) -> set[str]:
    """Everything called, raised or looked into by a key, as it is written."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    found = [n.func for n in nodes if isinstance(n, ast.Call)]
    found += [n.value for n in nodes if isinstance(n, ast.Subscript)]
    found += [n.exc for n in nodes if isinstance(n, ast.Raise) and n.exc is not None]
    return {ast.unparse(n) for n in found}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_packages_that_must_not_meet_do_not_import_each_other(package: str) -> None:
    for name, path in modules(package):
        for other in FORBIDDEN[package]:
            if within(name, "audit.cli") and other == "reports":
                continue
            assert not [i for i in imports(path) if within(i, other)], f"{name} imports {other}"


def test_only_the_command_line_imports_reports() -> None:
    importers = [name for name, path in modules("audit") if any(within(i, "reports") for i in imports(path))]
    assert importers
    assert not [name for name in importers if not within(name, "audit.cli")]


def test_only_the_command_line_prints_exits_or_reads_the_environment() -> None:
    doers = {name for name, path in modules("audit") if used(path) & SPEAKS}
    assert "audit.cli" in doers
    assert not {name for name in doers if not within(name, "audit.cli")}


@pytest.mark.parametrize("room", sorted(COMPUTING))
def test_rooms_that_compute_know_no_findings(room: str) -> None:
    for name, path in modules(f"audit/{room}"):
        outside = {i for i in imports(path) if within(i, "audit") and not within(i, f"audit.{room}") and i != "audit"}
        assert not outside, f"{name} imports {outside}"


def test_no_layer_imports_one_above_it() -> None:
    rank = {f"audit.{layer}": place for place, layer in enumerate(ORDER)}

    def place(name: str) -> int | None:
        return next((r for layer, r in rank.items() if within(name, layer)), None)

    for name, path in modules("audit"):
        own = place(name)
        for imported in imports(path):
            above = place(imported)
            assert own is None or above is None or above <= own, f"{name} imports {imported}"


def test_no_import_cycles() -> None:
    graph = {}
    for package in ("audit", "reimpl", "reports"):
        for name, path in modules(package):
            graph[name] = imports(path)
    known = set(graph)
    edges = {name: {i for i in found if i in known and i != name} for name, found in graph.items()}
    # `audit/__init__.py` resolves its two public names lazily, inside a function.
    edges["audit"] = set()
    visiting: list[str] = []
    done: set[str] = set()

    def visit(name: str) -> None:
        assert name not in visiting, " -> ".join([*visiting[visiting.index(name) :], name])
        if name in done:
            return
        visiting.append(name)
        for following in sorted(edges[name]):
            visit(following)
        done.add(visiting.pop())

    for name in sorted(edges):
        visit(name)


def test_only_probes_may_import_torch_in_audit_at_module_level() -> None:
    for name, path in modules("audit"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        top = {a.name for n in body if isinstance(n, ast.Import) for a in n.names}
        top |= {n.module or "" for n in body if isinstance(n, ast.ImportFrom)}
        assert within(name, "audit.probes") or not [i for i in top for h in HEAVY if within(i, h)], name


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    code = f"import sys, audit.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
