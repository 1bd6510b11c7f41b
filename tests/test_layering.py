"""Who imports whom, and what every file owes its reader: read off the source."""

import ast
import graphlib
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
OURS = ("gans", "experiments", "configs")
# What a part of gans/ may import of the others, beside itself and `names`.
# `a.b` is that file alone.
BASE = "names interpolation ema sharding schedules optim diagnostics losses layers"
MAY = {part: set() for part in BASE.split()}
MAY["core"] = {"ema"}
MAY["layers"] = {"sharding"}
MAY["averaging"] = {"core"}
MAY |= {part: {"layers"} for part in ("networks", "data", "metrics")}
MAY["networks"] = {"layers", "sharding"}
MAY["metrics"] = {"layers", "interpolation"}
MAY |= {part: {"sharding"} for part in ("augment", "losses")}
MAY["terms"] = {"core", "augment", "losses", "sharding"}
MAY["stages"] = {"core", "data.spec"}
PARTS = "core schedules optim losses networks augment terms"
MAY["adversary"] = {*"core schedules losses augment terms diagnostics".split()}
MAY["game"] = {*PARTS.split(), "diagnostics", "sharding", "data.spec", "data.kinds"}
MAY["build"] = MAY["game"] | {"adversary", "game", "metrics.features"}
MAY["growing"] = {*PARTS.split(), "build", "layers", "stages", "data.spec"}
MAY["variants"] = MAY["game"] | {"adversary", "game", "build", "stages", "growing"}
# Logs, checkpoints, pictures and the clock belong to experiments/.
OUTSIDE = {"absl", "orbax", "tensorboardX", "matplotlib", "time", "datetime"}
SHAPES = {"losses", "layers", "networks", "metrics", "data", "augment", "terms"}
SHAPES |= {"diagnostics.py", "game.py", "sharding.py", "interpolation.py"}
VAGUE = {"util", "utils", "helper", "helpers", "common", "misc"}


def imports(tree):
    """Full names of all that is imported, wherever it is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def import_faults(path, tree):
    package, part = path.parts[0], pathlib.Path(path.parts[1]).stem
    ancestors = set()
    for name in imports(tree):
        top, *rest = name.split(".")
        other = rest[0] if rest else ""
        if top == "":
            yield f"relative import {name}"
        elif package == "configs":
            shared = ("configs.presets", "configs.keys")
            ours = "configs" if part == "ablations" else shared
            known = top == "ml_collections" or name.startswith(ours)
            if not known and top not in sys.stdlib_module_names:
                yield f"a config imports {name}"
        elif package == "gans" and top in ("experiments", "configs"):
            yield f"gans imports {name}"
        elif package == "gans" and top in OUTSIDE:
            yield f"{name} belongs to experiments/"
        elif package == "gans" and top == "gans" and other != part:
            if not {other, ".".join(rest[:2])} & ({"names"} | MAY.get(part, set())):
                yield f"{part} imports {name}"
        elif package == "gans" and part == other == "variants":
            ancestors.add(rest[1])
    if len(ancestors) > 1:
        yield f"a variant of several ancestors: {sorted(ancestors)}"


def call_faults(path, tree):
    """`pmap`, and convolutions that are not those of gans/layers."""
    # In experiments/benchmarks/torch_reference, `nn` is PyTorch's.
    homes = ("gans/layers/conv/", "experiments/benchmarks/torch_reference/")
    at_home = path.as_posix().startswith(homes)
    names = [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
    for name in [*names, *imports(tree)]:
        if re.fullmatch(r"jax\.pmap", name):
            yield f"{name}: use jit over a mesh"
        if re.fullmatch(r"(flax\.)?(nn|linen)\.Conv\w*|(jax\.)?lax\.conv\w*", name):
            if not at_home and "convert" not in name:
                yield f"{name}: use gans.layers.conv"


def docstring_faults(path, tree):
    """A docstring for all that is public, with shapes where there are arrays."""

    def visit(nodes, inherited=""):
        for node in nodes:
            name = getattr(node, "name", "_")
            if name.startswith("_") and name != "__call__" or is_property(node):
                continue
            doc = ast.get_docstring(node) or ""
            if not doc and name != "__call__":
                yield f"{name}: no docstring"
            if isinstance(node, ast.ClassDef):
                yield from visit(node.body, doc)
            elif path.parts[1] in SHAPES and takes_arrays(node):
                if not has_shape(doc + inherited):
                    yield f"{name}: no shapes in its docstring"

    yield from visit(tree.body)


def is_property(node):
    return any(ast.unparse(d) == "property" for d in node.decorator_list)


def takes_arrays(function):
    every = function.args
    every = [*every.posonlyargs, *every.args, *every.kwonlyargs]
    notes = [a.annotation for a in every] + [function.returns]
    return any(re.search(r"\b(Array|ndarray)\b", ast.unparse(n)) for n in notes if n)


def has_shape(doc):
    """[B, H, W, C], [n, 2], [] ... but no range such as [-1, 1], [0, 1)."""
    return re.search(r"\[(\]|[A-Za-z*.2-9(])", doc) is not None


def faults(path, source):
    path, tree = pathlib.PurePosixPath(path), ast.parse(source)
    found = [*import_faults(path, tree), *call_faults(path, tree)]
    if path.parts[0] == "gans":
        found += docstring_faults(path, tree)
    if VAGUE & {pathlib.PurePath(part).stem for part in path.parts}:
        found.append("a name that says nothing")
    if source.count("\n") > 400:
        found.append("more than 400 lines")
    return [f"{path}: {fault}" for fault in found]


FILES = sorted(p for top in OURS for p in (ROOT / top).rglob("*.py"))


@pytest.mark.parametrize("package", OURS)
def test_the_source_keeps_the_rules(package):
    files = [p for p in FILES if p.relative_to(ROOT).parts[0] == package]
    assert files
    found = []
    for p in files:
        found += faults(p.relative_to(ROOT).as_posix(), p.read_text())
    assert not found, "\n".join(found)


def check_direction(sources):
    """Raises graphlib.CycleError if modules, {name: source}, import in a circle.

    Deferred imports count, too. Returns {module: modules that it imports}.
    """
    graph = {}
    for name, source in sources.items():
        graph[name] = set()
        for full in imports(ast.parse(source)):
            while full and full not in sources:
                full = full.rpartition(".")[0]
            graph[name] |= {full} - {"", name}
    graphlib.TopologicalSorter(graph).prepare()
    return graph


def test_modules_import_in_one_direction():
    sources = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts): p.read_text()
        for p in FILES
    }
    sources = {name.removesuffix(".__init__"): x for name, x in sources.items()}
    graph = check_direction(sources)
    assert (
        len(graph) > 200 and sum("gans.core" in found for found in graph.values()) > 9
    )
    deferred = "\n\ndef f():\n    from experiments.training import loop\n"
    sources["experiments.rundir.restore"] += deferred
    with pytest.raises(graphlib.CycleError):
        check_direction(sources)


DOC = '"""Doc."""\n'
ARRAYS = 'def f(x: Array) -> Array:\n    """x {} doubled."""\n'


@pytest.mark.parametrize(
    "path, source, fault",
    [
        ("gans/core.py", "from gans import schedules", "core imports gans.schedules"),
        (
            "gans/losses/a.py",
            "from gans.layers.norms.batch import BatchNorm",
            "losses imports",
        ),
        ("gans/layers/a.py", "import gans.networks.mlp", "layers imports"),
        ("gans/networks/a.py", "from gans.losses import penalties", "networks imports"),
        ("gans/data/a.py", "def _f():\n    import gans.core", "data imports gans.core"),
        ("gans/metrics/a.py", "from gans import data", "metrics imports gans.data"),
        (
            "gans/variants/a.py",
            "from gans.metrics.scores import modes",
            "variants imports",
        ),
        ("gans/variants/a.py", "from gans.data import pipeline", "variants imports"),
        ("gans/terms/a.py", "from gans.game import Game", "terms imports gans.game"),
        ("gans/game.py", "from gans import build", "game imports gans.build"),
        ("gans/variants/a.py", "from gans.variants import gan, wgan", "several"),
        ("gans/names.py", "from gans import optim", "names imports"),
        (
            "gans/core.py",
            "from experiments import log",
            "gans imports experiments.log",
        ),
        ("gans/core.py", "from configs.gan import get_config", "gans imports configs"),
        ("gans/layers/a.py", "from . import norm", "relative import"),
        ("gans/data/a.py", "from absl import logging", "belongs to experiments/"),
        ("gans/core.py", "import orbax.checkpoint as ocp", "belongs to experiments/"),
        ("gans/core.py", "import time", "time belongs to experiments/"),
        ("configs/gan.py", "import jax", "a config imports jax"),
        ("configs/gan.py", "from configs import wgan", "imports configs.wgan"),
        ("configs/gan.py", "from gans import optim", "imports gans.optim"),
        ("experiments/a.py", "step = jax.pmap(step)", "jit over a mesh"),
        ("experiments/a.py", "from jax import pmap", "jit over a mesh"),
        ("gans/networks/a.py", "y = nn.Conv(3, (3, 3))(x)", "use gans.layers.conv"),
        ("gans/networks/a.py", "y = nn.ConvTranspose(3)", "use gans.layers.conv"),
        ("gans/networks/a.py", "from flax.linen import Conv", "use gans.layers.conv"),
        ("gans/metrics/a.py", "jax.lax.conv_general_dilated(x, w)", "gans.layers.conv"),
        ("gans/core.py", "def f():\n    pass", "f: no docstring"),
        (
            "gans/core.py",
            f"class A:\n    {DOC}    def f(self):\n        pass",
            "f: no doc",
        ),
        ("gans/losses/a.py", ARRAYS.format("in [-1, 1]"), "f: no shapes"),
        ("gans/data/a.py", "def f(x: np.ndarray):\n    " + DOC, "f: no shapes"),
        (
            "gans/layers/a.py",
            f"class A:\n    {DOC}    def __call__(self, x: Array):\n        pass",
            "__call__: no shapes",
        ),
        ("gans/layers/utils.py", "", "says nothing"),
        ("experiments/common/a.py", "", "says nothing"),
        ("configs/gan.py", "\n" * 401, "400 lines"),
    ],
)
def test_offences_are_found(path, source, fault):
    (found,) = faults(path, source)
    assert path in found and fault in found


@pytest.mark.parametrize(
    "path, source",
    [
        ("gans/variants/a.py", "from gans.variants import gan\nfrom gans import optim"),
        ("gans/variants/a.py", "from gans.variants.gan import build"),
        ("gans/variants/a.py", "from gans.data.spec import Spec"),
        ("gans/build.py", "from gans.data.spec import Spec\nfrom gans import terms"),
        (
            "gans/networks/a.py",
            "from gans.layers.conv import Conv\nfrom gans import names",
        ),
        ("gans/metrics/a.py", "from gans.layers import conv\nimport scipy.linalg"),
        ("gans/losses/a.py", ARRAYS.format("[B, C] in [-1, 1]")),
        ("gans/losses/a.py", ARRAYS.format("[]")),
        ("gans/core.py", ARRAYS.format("")),
        ("gans/core.py", f"class A:\n    {DOC}    @property\n    def f(self): pass"),
        ("gans/layers/conv/a.py", "y = lax.conv_general_dilated(x, w)"),
        ("gans/core.py", "y = jax.lax.convert_element_type(x, float)"),
        ("experiments/a.py", "import matplotlib, time\nfrom gans import core"),
        ("configs/gan.py", "import difflib\nfrom configs import presets"),
    ],
)
def test_what_is_allowed_is_not_found(path, source):
    assert faults(path, source) == []
