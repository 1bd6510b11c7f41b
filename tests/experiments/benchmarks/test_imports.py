"""Modules of the benchmarks import each other in one direction."""

import ast
import graphlib
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[3]


def imported(source):
    """Full names of what is imported, deferred imports included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def check(sources):
    """Raises graphlib.CycleError if modules, {name: source}, import in a circle."""
    graph = {
        name: {x for x in imported(source) if x in sources}
        for name, source in sources.items()
    }
    graphlib.TopologicalSorter(graph).prepare()
    return graph


def test_benchmarks_import_in_one_direction():
    files = [*(ROOT / "experiments").glob("*.py")]
    files += (ROOT / "experiments" / "benchmarks").rglob("*.py")
    sources = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text()
        for path in files
        if path.stem != "__init__"
    }
    graph = check(sources)
    workload = "experiments.benchmarks.workload"
    assert sum(workload in found for found in graph.values()) > 5
    # A benchmark that imported the command would close a circle.
    sources[workload] += "\nfrom experiments.benchmark import main"
    sources["experiments.benchmark"] += f"\nimport {workload}"
    with pytest.raises(graphlib.CycleError):
        check(sources)
