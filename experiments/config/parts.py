"""What the parts of a game accept, read off their source: JAX is not imported.

A network's options are the fields of its class and of `Layers`; an optimiser's are the
arguments of `optim.make`; those of terms, losses and augmentations are the arguments of
their functions or the fields of their classes. Docstrings say what they mean.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib.util
import re
from pathlib import Path
from typing import Any

import gans
from configs import keys
from experiments import own_code

ROOT = Path(gans.__path__[0])
ROLES = {"generator": "Generator", "discriminator": "Discriminator"}
# The types of options, as their source has them.
_TYPES = {str(t): t for t in (tuple[int, ...], tuple[str, ...])}
_TYPES |= {t.__name__: t for t in (int, float, bool, str)} | {"Named": keys.Part}
_TYPES["tuple[tuple[int, int, int], ...]"] = tuple[tuple[int, int, int], ...]
# What the game sets itself.
_NOT_OPTIONS = {"layers", "shape", "bounded", "n_classes", "dtype", "name", "parent"}
_NOT_OPTIONS |= {"n_updates", "lazy", "equalised_kernels"}


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of a part, in Python's words: its type and its default, "" for none."""

    name: str
    type: str
    default: str
    help: str

    def key(self) -> keys.Key:
        """Returns it as a key; a type of which no value can be typed is any."""
        kind, optional = self.type.removesuffix(" | None"), "None" in self.type
        kind = _TYPES.get(kind, Any)
        return keys.Key(default=None, help=self.help, type=kind, optional=optional)


@dataclasses.dataclass(frozen=True)
class Described:
    """A part that is chosen by name."""

    name: str
    summary: str
    options: tuple[Option, ...]

    def __str__(self):
        given = ", ".join(f"{x.name}={x.default}" for x in self.options)
        return f"{self.name}({given})" if given else self.name


def network(role: str, name: Any) -> dict[str, Option] | None:
    """Returns the options of a network; None if they cannot be read off its source.

    name: a file of gans/networks, or the path of a user's module or class.
    """
    if not isinstance(name, str) or role not in ROLES:
        return None
    if name in networks():
        file, cls = ROOT / f"networks/{name}.py", ROLES[role]
    else:
        modules, rest = own_code.found(name)
        if not modules or len(rest) > 1:
            return None
        file, cls = modules[-1][1], rest[0] if rest else ROLES[role]
    lineage = _lineage(file, cls)
    if lineage is None:
        return None
    own = {option.name: option for node in lineage for option in _fields(node)}
    shared, slots = {}, [x for node in lineage if (x := _assigned(node, "slots"))]
    if "layers" in own:
        layers = _definitions("layers/options.py", ast.ClassDef)["Layers"]
        shared = {
            option.name: option
            for option in _fields(layers)
            if not slots or option.name in slots[-1]
        }
    found = own | shared
    for name, default in _of_layers(lineage).items():  # the network's own defaults
        if name in found:
            found[name] = dataclasses.replace(found[name], default=default)
    return {name: x for name, x in found.items() if name not in _NOT_OPTIONS}


def _of_layers(lineage):
    """{option: its default} of the last `layers: Layers = Layers(...)` of a class."""
    calls = [
        field.value
        for node in lineage
        for field in node.body
        if isinstance(field, ast.AnnAssign)
        and ast.unparse(field.target) == "layers"
        and isinstance(field.value, ast.Call)
    ]
    return {x.arg: ast.unparse(x.value) for call in calls[-1:] for x in call.keywords}


def _lineage(file: Path, cls: str) -> list[ast.ClassDef] | None:
    """The class and those that it inherits from, itself the last.

    None for a class, or a base of it, that is not found in a source of ours or of the
    user's; a base called Module is Flax's.
    """
    tree = _tree(file)
    classes = {x.name: x for x in tree.body if isinstance(x, ast.ClassDef)}
    if cls not in classes:
        return _elsewhere(tree, file, cls)
    above = []
    for base in map(ast.unparse, classes[cls].bases):
        if base.rpartition(".")[2] == "Module":
            continue
        found = _lineage(file, base) if "." not in base else None
        if found is None:
            return None
        above += found
    return [*above, classes[cls]]


def _elsewhere(tree, file, cls):
    """The lineage of a class that a module imports by its name."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == cls:
                    above = file.parents[node.level - 1] if node.level else None
                    path = f"{node.module}.{alias.name}" if node.module else alias.name
                    modules, rest = own_code.found(path, above)
                    if modules and len(rest) == 1:
                        return _lineage(modules[-1][1], rest[0])
    return None


def is_off(option: str, value: Any) -> bool:
    """Whether an option that networks share has the value that changes nothing."""
    layers = _definitions("layers/options.py", ast.ClassDef)["Layers"]
    return repr(value) in [x.default for x in _fields(layers) if x.name == option]


def optimiser() -> dict[str, Option]:
    """Returns the options that all optimisers have; others are those of optax."""
    make = _definitions("optim.py", ast.FunctionDef)["make"]
    own = {x.name: x for x in _arguments(make)}
    return {x: own[x] for x in own if x not in {*_NOT_OPTIONS, "equalised"}}


def options_of_optimiser(name: Any) -> set[str] | None:
    """Returns the names of the options of an optimiser of optax; None for others."""
    spec, shared = importlib.util.find_spec("optax"), set(optimiser())
    file = Path(spec.submodule_search_locations[0]) / "_src" / "alias.py"
    functions = {x.name: x for x in _tree(file).body if isinstance(x, ast.FunctionDef)}
    node = functions.get(str(name).removeprefix("optax."))
    if node is None or node.args.kwarg:
        return None
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return shared | {x.arg for x in arguments}


def optimisers() -> tuple[str, ...]:
    """Returns the names of the optimisers."""
    return ast.literal_eval(_assignment("optim.py", "NAMES"))


def terms() -> list[Described]:
    """Returns the terms of `penalties`."""
    return [
        _described(node)
        for path in sorted((ROOT / "terms").glob("*.py"))
        for node in _definitions(f"terms/{path.name}", ast.FunctionDef).values()
        if node.returns is not None
        and ast.unparse(node.returns) == "Term"
        and not node.name.startswith("_")
    ]


def losses() -> list[Described]:
    """Returns the adversarial losses."""
    every = _definitions("losses/adversarial.py", ast.FunctionDef).values()
    return [
        _described(node)
        for node in every
        if node.returns is not None
        and ast.unparse(node.returns) == "Adversarial"
        and node.name != "make"
    ]


def augmentations() -> list[Described]:
    """Returns the augmentations, with what they inherit."""
    classes = {}
    for path in sorted((ROOT / "augment").glob("*.py")):
        classes |= _definitions(f"augment/{path.name}", ast.ClassDef)
    found = []
    for node in classes.values():
        name = _assigned(node, "name")
        if name is None:
            continue
        options, above = {}, [node]
        while above:
            one = above.pop()
            options = {x.name: x for x in _fields(one)} | options
            above += [classes[b] for b in map(ast.unparse, one.bases) if b in classes]
        found.append(Described(name, _summary(node), tuple(options.values())))
    return found


def norms() -> list[str]:
    """Returns the names of the norms."""
    return [p.stem for p in sorted((ROOT / "layers/norms").glob("[!_]*.py"))]


def networks() -> list[str]:
    """Returns the names of the architectures."""
    return [p.stem for p in sorted((ROOT / "networks").glob("[!_]*.py"))]


@functools.cache
def _tree(file):
    path = ROOT / file
    try:
        return ast.parse(path.read_text() if path.is_file() else "")
    except (
        SyntaxError,
        ValueError,
    ):  # of the user's, which is said when it is imported
        return ast.parse("")


def _definitions(file, kind):
    return {x.name: x for x in _tree(file).body if isinstance(x, kind)}


def _assignment(file, name):
    for node in _tree(file).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return node.value
    raise LookupError(f"{file} has no {name}")


def _assigned(node, name):
    """The literal that a class assigns to a name; None for another value, or none."""
    for x in node.body:
        targets = getattr(x, "targets", None) or [getattr(x, "target", None)]
        if getattr(x, "value", None) and ast.unparse(targets[0] or x) == name:
            try:
                return ast.literal_eval(x.value)
            except ValueError:
                return None
    return None


def _fields(node):
    """The fields of a dataclass."""
    said = _said(node)
    for x in node.body:
        if not isinstance(x, ast.AnnAssign) or "ClassVar" in ast.unparse(x.annotation):
            continue
        default = "" if x.value is None else ast.unparse(x.value)
        field = re.search(r"field\(.*?default=(.+?)[,)]", default)
        name, default = ast.unparse(x.target), field[1] if field else default
        yield Option(name, ast.unparse(x.annotation), default, said.get(name, ""))


def _arguments(node):
    """The arguments of a function that have annotations."""
    given, said = node.args, _said(node)
    plain = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(plain) - len(given.defaults)) + given.defaults
    every = [*zip(plain, defaults, strict=True)]
    every += zip(given.kwonlyargs, given.kw_defaults, strict=True)
    for argument, default in every:
        if argument.annotation is not None:
            value = "" if default is None else ast.unparse(default)
            kind = ast.unparse(argument.annotation)
            yield Option(argument.arg, kind, value, said.get(argument.arg, ""))


def _described(node):
    return Described(node.name, _summary(node), tuple(_arguments(node)))


def _summary(node):
    return " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())


def _said(node):
    """{name: sentence} of the Attributes or Args of a docstring."""
    doc = ast.get_docstring(node) or ""
    listed = re.search(r"^(?:Attributes|Args):\n((?:  .*\n?|\n)*)", doc, re.M)
    found = {}
    for line in re.split(r"\n(?=  \S)", listed[1] if listed else ""):
        names, _, text = line.strip().partition(": ")
        for name in names.split(", "):
            found[name.strip("*")] = " ".join(text.split())
    return found
