"""`Layers`: what its factory makes, what it tells, and what it rejects."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gans.layers import Layers
from gans.layers.resample import UpsampleConv

KEY = jax.random.key(3)
LABEL = np.array([2, 0, 1, 2], np.int32)
ALL = tuple(Layers.__dataclass_fields__)


def images(*shape, seed=0):
    return 2 * np.random.default_rng(seed).normal(size=shape).astype(np.float32) + 1


def normalised(x, epsilon=1e-5):
    """(x - mean) / sqrt(variance + epsilon) per channel, in float64."""
    x = x.astype(np.float64)
    return (x - x.mean(0)) / np.sqrt(x.var(0) + epsilon)


def sigma(w, u):
    """The estimate of w's largest singular value after one iteration from u."""
    w, u = np.asarray(w, np.float64), np.asarray(u, np.float64)
    v = w @ u / np.linalg.norm(w @ u)
    return np.linalg.norm(v @ w)


def drawn(module, x, seed=0):
    """Kernels from N(0, 1), u of norm 1, no biases: nothing to compile."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(functools.partial(module.init, train=True), KEY, x)

    def draw(path, p):
        w = rng.normal(size=p.shape)
        if p.ndim == 1:
            w *= path[-1].key.endswith("/u") / np.linalg.norm(w)
        return jnp.asarray(w, p.dtype)

    return jax.tree_util.tree_map_with_path(draw, shapes)


class Two(nn.Module):
    layers: Layers = Layers()

    slots = ALL

    @nn.compact
    def __call__(self, x, *, train):
        make = self.layers.factory(self, train, kernel_init="normal")
        h = make(nn.Dense, 4, name="a")(x)
        return make(nn.Dense, 3, gain=1, use_bias=False, name="b")(h)


@pytest.mark.parametrize("option", [None, "spectral", "equalised"])
def test_kernels(option):
    module, x = Two(Layers(**({option: True} if option else {}))), images(2, 6)
    variables = drawn(module, x)
    shapes = jax.tree.map(jnp.shape, variables)
    a, b = {"kernel": (6, 4), "bias": (4,)}, {"kernel": (4, 3)}
    if option is None:
        assert shapes == {"params": {"a": a, "b": b}}
    else:
        assert shapes["params"] == {"a": {"layer": a}, "b": {"layer": b}}
        u = {"a": {"kernel/u": (4,)}, "b": {"kernel/u": (3,)}}
        assert shapes.get("spectral") == (u if option == "spectral" else None)
    y = module.apply(variables, x, train=False)
    plain = x
    for name in "ab":
        (w,) = (p for p in jax.tree.leaves(variables["params"][name]) if p.ndim > 1)
        if option == "spectral":
            w = w / sigma(w, variables["spectral"][name]["kernel/u"])
        elif option == "equalised":
            w = w * np.sqrt({"a": 2 / 6, "b": 1 / 4}[name])
        plain = plain @ w
    np.testing.assert_allclose(y, plain, rtol=1e-4, atol=1e-5)


def test_spectral_and_equalised_exclude_each_other():
    with pytest.raises(
        ValueError, match="spectral=True and equalised=True: .*own scal"
    ):
        Layers(spectral=True, equalised=True)


VIRTUAL = {"name": "virtual", "n_reference": 2}


class Normed(nn.Module):
    layers: Layers
    condition: str | None = None

    slots = ALL

    @nn.compact
    def __call__(self, x, label, *, train):
        constant = nn.initializers.constant(3.0)
        make = self.layers.factory(
            self, train, kernel_init="normal", gain_init=constant
        )
        return make.norm(x, "norm0", label)


@pytest.mark.parametrize("norm", [None, "batch", "pixel", VIRTUAL])
def test_norms(norm):
    x = images(6, 5)
    y, variables = Normed(Layers(norm)).init_with_output(KEY, x, LABEL, train=True)
    expected = {
        None: x,
        "batch": 3 * normalised(x),
        "pixel": x / np.sqrt((x**2).mean(-1, keepdims=True)),
        "virtual": 3 * normalised(x[:2]),  # the reference examples among them
    }[norm["name"] if norm is VIRTUAL else norm]
    np.testing.assert_allclose(y[: len(expected)], expected, rtol=1e-4, atol=1e-4)
    half = Normed(Layers(norm, dtype=jnp.bfloat16))
    apply = functools.partial(half.apply, train=True, mutable=list(variables))
    z, _ = jax.eval_shape(apply, variables, jnp.asarray(x, jnp.bfloat16), LABEL)
    assert z.dtype == jnp.bfloat16
    gains = [p for p in jax.tree.leaves(variables.get("params", {})) if np.any(p == 3)]
    assert len(gains) == (norm in ("batch", VIRTUAL))


def test_unknown_norms():
    known = "norm, if not None: 'pixle' is not one of batch, instance, pixel, virtual"
    with pytest.raises(ValueError, match=known):
        Normed(Layers("pixle")).init(KEY, images(6, 5), LABEL, train=True)


@pytest.mark.parametrize(
    "norm, mixes, per_class, n",
    [
        (None, False, False, 0),
        ("batch", True, True, 0),
        ("pixel", False, False, 0),
        ("virtual", False, False, 64),
        (VIRTUAL, False, False, 2),
    ],
)
def test_what_layers_tell_of_their_norm(norm, mixes, per_class, n):
    layers = Layers(norm=norm)
    found = layers.mixes_batch, layers.per_class, layers.n_reference
    assert found == (mixes, per_class, n)
    assert layers.replace(minibatch="stddev").mixes_batch
    assert layers.replace(norm=None) == Layers() and hash(layers)


class Picky(nn.Module):
    layers: Layers = Layers()

    slots = ("norm", "dtype")

    @nn.compact
    def __call__(self, x, *, train):
        self.layers.factory(self, train, kernel_init="normal")
        return x


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"dropout": 0.5},
            "test_options.Picky has no option 'dropout'; accepted are dtype",
        ),
        ({"minibatch": "stddev"}, "has no option 'minibatch'"),
        ({"norm": {"name": "virtual", "n_references": 3}}, "mean 'n_reference'"),
        (
            {"norm": {"name": "batch", "n_reference": 3}},
            "norm batch has no option 'n_reference'",
        ),
        ({"norm": 3}, "norm: 3 is neither a name nor"),
    ],
)
def test_options_without_a_slot_or_of_no_norm(options, message):
    with pytest.raises(ValueError, match=message):
        Picky(Layers(**options)).init(KEY, images(2, 3), train=True)
    Picky().init(KEY, images(2, 3), train=True)


def test_a_layer_has_the_initialiser_and_dtype_of_the_rest():
    class Net(nn.Module):
        layers: Layers = Layers()

        slots = ALL

        @nn.compact
        def __call__(self, x, *, train):
            make = self.layers.factory(self, train, kernel_init="normal")
            h = make(UpsampleConv, 64, (3, 3), name="conv")(x)
            e = make(nn.Embed, 5, 64, name="embed")(jnp.arange(len(x)))
            return h, e

    x = jnp.ones((2, 2, 2, 64))
    for layers, deviation in (
        (Layers(), 0.02),
        (Layers(kernel_init="he"), np.sqrt(2 / 576)),
    ):
        params = Net(layers).init(KEY, x, train=True)["params"]
        # 3 x 3 x 64 x 64 = 36,864 numbers: the deviation is known to 0.4 %.
        np.testing.assert_allclose(params["conv"]["kernel"].std(), deviation, rtol=0.03)
    half = Net(Layers(dtype=jnp.bfloat16))
    (h, e), variables = half.init_with_output(KEY, x, train=True)
    assert h.dtype == e.dtype == jnp.bfloat16
    assert {p.dtype.name for p in jax.tree.leaves(variables)} == {"float32"}
