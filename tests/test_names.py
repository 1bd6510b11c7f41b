"""Names with options, as games and networks are given them."""

import sys

import pytest
from ml_collections import ConfigDict

from gans import augment, build, names, networks, optim, terms
from gans.layers import initial, minibatch, norms
from gans.losses import adversarial
from gans.terms import Term

SOURCE = """
import dataclasses
import jax.numpy as jnp
import optax
from flax import linen as nn
from gans.augment.base import Augment
from gans.layers.norms import Norm
from gans.losses.adversarial import Adversarial
from gans.terms import Term

NUMBER = 3

def margin(*, by: float = 1.0):
    return Adversarial(lambda r, f: (by - r, f), lambda f, r=None, w=None: (-f,))

def number(x=1):
    return x

def needs(x):
    return margin()

def size(weight: float = 2.0):
    return Term(name="size", value=lambda c: jnp.mean(c.on_fake**2), weight=weight)

@dataclasses.dataclass(frozen=True, kw_only=True)
class Darker(Augment):
    name = "darker"
    by: float = 0.5

@dataclasses.dataclass(frozen=True, kw_only=True)
class Nameless(Augment):
    pass

class Generator(nn.Module):
    shape: tuple
    width: int = 4
    @nn.compact
    def __call__(self, z, label=None, *, train):
        return nn.Dense(self.width)(z)

class Discriminator(nn.Module):
    @nn.compact
    def __call__(self, x, label=None, *, train):
        return nn.Dense(1)(x)[:, 0]

class Sum(nn.Module):
    @nn.compact
    def __call__(self, x):
        return jnp.concatenate([x, x], -1)

NORM = Norm(lambda x, label, place, gain: gain * x, options={"gain": 2.0})
HALF = Norm(lambda x, label, place: x / 2, excluded=("Discriminator",))

def step(learning_rate, b1=0.5):
    return optax.sgd(learning_rate)

def ones(key, shape, dtype=jnp.float32):
    return jnp.ones(shape, dtype)
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A user's modules `own.parts` and `own.broken`, beside no `own.missing`."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "own").mkdir()
    (folder / "own" / "parts.py").write_text(SOURCE)
    (folder / "own" / "broken.py").write_text("import missing_library")
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    for name in [n for n in sys.modules if n.partition(".")[0] == "own"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "value, expected",
    [
        ("r1", ("r1", {})),
        ({"name": "r1"}, ("r1", {})),
        ({"name": "r1", "weight": 10}, ("r1", {"weight": 10})),
        (ConfigDict({"name": "ada", "target": 0.5}), ("ada", {"target": 0.5})),
    ],
)
def test_a_name_and_its_options(value, expected):
    kept = value if isinstance(value, str) else dict(value.items())
    assert names.named(value, "here") == expected
    assert kept == (value if isinstance(value, str) else dict(value.items()))


@pytest.mark.parametrize(
    "value", [None, 3, {}, {"weight": 1}, {"name": 3}, ("r1", {"weight": 1}), ["r1"]]
)
def test_anything_else_is_rejected(value):
    with pytest.raises(ValueError, match="here: .* is neither a name nor a dict"):
        names.named(value, "here")


def test_files_of_a_package():
    found = [m.__name__.rpartition(".")[2] for m in names.modules("gans.losses")]
    assert found == ["adversarial", "joint", "matching", "penalties", "regularisers"]


def test_options_that_are_not_known():
    names.options(["weight"], {"weight": 1}, "r1")
    with pytest.raises(
        ValueError,
        match="r1 has no option 'wieght'; accepted are every, weight; did you mean",
    ):
        names.options(["weight", "every"], {"wieght": 1}, "r1")
    with pytest.raises(ValueError, match="hinge has no option 'a'; accepted are none"):
        names.options([], {"a": 1}, "hinge")


def test_a_name_that_is_not_accepted():
    assert names.check("a", ("b", "a"), "loss") == "a"
    with pytest.raises(ValueError, match="^loss: 'hing' is not one of .*mean 'hinge'"):
        names.check("hing", ("hinge", "wasserstein"), "loss")
    with pytest.raises(ValueError, match="^loss: must be 'wasserstein', got 'hinge'$"):
        names.check("hinge", ("wasserstein",), "loss")


@pytest.mark.parametrize("path", ["own.parts.NUMBER", "own.parts:NUMBER"])
def test_a_path_names_what_is_in_a_module(own, path):
    assert names.imported(path, "here") == 3
    assert names.last(path) == "NUMBER"


def test_a_path_may_name_a_module(own):
    assert names.imported("own.parts", "here").NUMBER == 3
    assert names.part("own.parts", "gans.networks", "NUMBER", "here") == 3
    assert names.part("math", "gans.networks", "pi", "here") > 3, "a file, beside ours"
    with pytest.raises(ValueError, match="here: 'math': the module has no Generator"):
        names.part("math", "gans.networks", "Generator", "here")
    with pytest.raises(ValueError, match="here: 'mpl' is not one of .*mean 'mlp'"):
        names.part("mpl", "gans.networks", "Generator", "here")
    assert names.part("own.parts:NUMBER", "gans.networks", "x", "here") == 3


@pytest.mark.parametrize(
    "path, message",
    [
        ("own.parts.NUMBR", "own.parts has no 'NUMBR'; did you mean 'NUMBER'?"),
        ("own.parts:NUMBR", "own.parts has no 'NUMBR'; did you mean 'NUMBER'?"),
        ("own.partz.NUMBER", "own has no 'partz'; did you mean 'parts'?"),
        ("own.part:NUMBER", "there is no module 'own.part'; it is looked for in the"),
        ("owned.parts.NUMBER", "there is no module 'owned'; it is looked for in the"),
        ("own/parts.py:NUMBER", "not of the form MODULE.NAME"),
        ("own..parts", "not of the form MODULE.NAME"),
        ("own.parts.", "not of the form MODULE.NAME"),
    ],
)
def test_a_path_that_names_nothing(own, path, message):
    with pytest.raises(ValueError, match=message) as error:
        names.imported(path, "here")
    assert str(error.value).startswith(f"here: {path!r}")
    assert "\n" not in str(error.value)


def test_errors_of_the_module_are_its_own(own):
    with pytest.raises(ModuleNotFoundError, match="missing_library"):
        names.imported("own.broken.x", "here")


def test_a_users_loss(own):
    loss = adversarial.make("own.parts.margin", by=3.0)
    assert loss.discriminator(1.0, 0.5) == (2.0, 0.5)
    assert build.loss_of({"loss": {"name": "own.parts:margin", "by": 2.0}})
    with pytest.raises(ValueError, match="'hing' is not one of .*, or MODULE.NAME of"):
        adversarial.make("hing")
    with pytest.raises(ValueError, match="loss own.parts.margin has no option 'bi'"):
        adversarial.make("own.parts.margin", bi=3.0)
    with pytest.raises(ValueError, match="own.parts.margin: by='x' must be a number"):
        adversarial.make("own.parts.margin", by="x")
    with pytest.raises(ValueError, match="own.parts.needs needs a value of x"):
        adversarial.make("own.parts.needs")
    with pytest.raises(ValueError, match="'own.parts.number' is of type int; wanted"):
        adversarial.make("own.parts.number")
    with pytest.raises(ValueError, match="'own.parts.NUMBER' is of type int; wanted"):
        adversarial.make("own.parts.NUMBER")


def test_a_users_term(own):
    (term,) = terms.make(({"name": "own.parts.size", "weight": 5},), "discriminator")
    assert isinstance(term, Term) and term.weight == 5
    with pytest.raises(ValueError, match="term 'own.parts.size': network: must be"):
        terms.make(("own.parts.size",), "generator")
    with pytest.raises(ValueError, match="wanted is a function to a Term"):
        terms.make(("own.parts.margin",), "discriminator")


def test_a_users_augmentation(own):
    assert augment.make("own.parts.Darker", by=0.1).by == 0.1
    with pytest.raises(ValueError, match="augment own.parts.Darker has no option"):
        augment.make("own.parts.Darker", to=0.1)
    with pytest.raises(ValueError, match="wanted is one with a `name`"):
        augment.make("own.parts.Nameless")
    with pytest.raises(ValueError, match="wanted is a subclass of Augment"):
        augment.make("own.parts.number")


def test_a_users_network(own):
    of_data = {"shape": (2,), "bounded": False, "n_classes": None}
    part = {"network": "own.parts", "width": 8, "spectral": False, "norm": None}
    generator = build.network("generator", part, 4, **of_data)
    assert (generator.shape, generator.width) == ((2,), 8)
    by_class = build.network(
        "generator", {"network": "own.parts:Generator"}, 4, **of_data
    )
    assert by_class.width == 4
    assert build.network("discriminator", {"network": "own.parts"}, 4, n_classes=None)
    with pytest.raises(ValueError, match="Generator has no option 'spectral'"):
        build.network("generator", part | {"spectral": True}, 4, **of_data)
    with pytest.raises(ValueError, match="width='x' must be a whole number"):
        build.network("generator", part | {"width": "x"}, 4, **of_data)
    with pytest.raises(ValueError, match="'own.parts.Darker' is no class of Flax"):
        networks.find("Generator", "own.parts.Darker")
    with pytest.raises(ValueError, match="own has no 'nothing'"):
        networks.find("Generator", "own.nothing")


def test_a_users_norm_and_layer_and_initialiser_and_optimiser(own):
    assert norms.find({"name": "own.parts", "gain": 3.0})[1] == {"gain": 3.0}
    norms.find("own.parts.HALF", "Generator")
    with pytest.raises(ValueError, match="a Discriminator does not offer it"):
        norms.find("own.parts.HALF", "Discriminator")
    with pytest.raises(ValueError, match="wanted is a Norm"):
        norms.find("own.parts.NUMBER")
    with pytest.raises(ValueError, match="minibatch: 'own.parts.NUMBER' is of type"):
        minibatch.with_minibatch(None, "own.parts.NUMBER")
    assert initial.initialiser("own.parts.ones")(None, (2,)).sum() == 2
    kept = {"learning_rate": 0.1, "n_updates": 5}
    assert optim.make("own.parts.step", b1=0.9, **kept)
    assert optim.make("optax.nadam", b1=0.9, **kept)
    with pytest.raises(ValueError, match="own.parts.step has no option 'b2'"):
        optim.make("own.parts.step", b2=0.9, **kept)
