"""LSTM, against Keras (fixtures), PyTorch (if it is there) and the equations."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.layers import lstm
from gans.layers.lstm import LSTM, Bidirectional, recurrence

FOLDER = pathlib.Path(__file__).parents[3] / "shared/reference/parity/tadgan"
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)
T, B, U = 5, 3, 4


@pytest.fixture(scope="module")
def keras():
    if not (FOLDER / "lstm.npz").exists():
        pytest.skip("the fixtures are not at hand")
    return np.load(FOLDER / "lstm.npz")


def weights(file, prefix):
    names = ("kernel", "recurrent_kernel", "bias")
    return {name: file[f"{prefix}/{name}"] for name in names}


def test_sequences_of_keras(keras):
    with jax.enable_x64(True):
        x = np.moveaxis(keras["x"], 1, 0)
        one = {"params": weights(keras, "lstm")}
        h = quick(lambda x: LSTM(4, dtype=x.dtype).apply(one, x, train=False))(x)
        expected = np.moveaxis(keras["lstm/sequence"], 1, 0)
        np.testing.assert_allclose(h, expected, atol=1e-12)
        np.testing.assert_allclose(h[-1], keras["lstm/h"], atol=1e-12)
        directions = {"forward": "fw", "backward": "bw"}
        two = {n: weights(keras, f"bidirectional/{k}") for n, k in directions.items()}

        def both(two):
            return Bidirectional(4, dtype=x.dtype).apply(
                {"params": two}, x, train=False
            )

        expected = np.moveaxis(keras["bidirectional/sequence"], 1, 0)
        np.testing.assert_allclose(quick(both)(two), expected, atol=1e-12)
        # Not so with the directions, or the gates, in another order.
        swapped = {"forward": two["backward"], "backward": two["forward"]}
        assert np.abs(quick(both)(swapped) - expected).max() > 1e-2
        turned = jax.tree.map(lambda w: np.roll(w, 4, axis=-1), two)
        assert np.abs(quick(both)(turned) - expected).max() > 1e-2


def test_a_new_one_begins_as_in_keras(keras):
    variables = LSTM(4).init(jax.random.key(0), jnp.ones((T, B, 3)), train=False)
    found = variables["params"]
    np.testing.assert_array_equal(found["bias"], keras["fresh/bias"])
    r = found["recurrent_kernel"]
    np.testing.assert_allclose(r @ r.T, np.eye(4), atol=1e-5)
    limit = (6 / (3 + 16)) ** 0.5
    assert 0.7 * limit < np.abs(found["kernel"]).max() <= limit


def by_the_equations(z, r, masks=None):
    """The recurrence, written out."""
    h = c = jnp.zeros((z.shape[1], len(r)), z.dtype)
    out = []
    for z_t in z:
        parts = [
            z_t[:, k * len(r) : (k + 1) * len(r)]
            + (h if masks is None else h * masks[k])
            @ r[:, k * len(r) : (k + 1) * len(r)]
            for k in range(4)
        ]
        i, f, o = (jax.nn.sigmoid(parts[k]) for k in (0, 1, 3))
        c = f * c + i * jnp.tanh(parts[2])
        h = o * jnp.tanh(c)
        out.append(h)
    return jnp.stack(out)


def cases():
    random = np.random.default_rng(0)
    z, r = random.standard_normal((T, B, 4 * U)), random.standard_normal((U, 4 * U))
    masks = random.integers(0, 2, (4, B, U)) * 2.0
    return z, r, random.standard_normal((T, B, U)), masks


@pytest.mark.parametrize("masked", [False, True])
def test_derivatives_are_those_of_the_equations(masked):
    with jax.enable_x64(True):
        z, r, given, masks = cases()
        masks = masks if masked else None

        def loss(f, z, r):
            return jnp.sum(f(z, r, masks) * given)

        @quick
        def both(z, r):
            return [
                jax.value_and_grad(functools.partial(loss, f), (0, 1))(z, r)
                for f in (recurrence, by_the_equations)
            ]

        found, expected = both(z, r)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12),
            found,
            expected,
        )


def test_dropout_has_one_mask_for_all_steps():
    x = jnp.ones((T, 200, 1))
    layer = LSTM(2, dropout=0.25, recurrent_dropout=0.5)
    variables = layer.init(jax.random.key(0), x, train=False)

    def apply(seed, train):
        return layer.apply(
            variables, x, train=train, rngs={"dropout": jax.random.key(seed)}
        )

    plain, one, other = apply(0, False), apply(1, True), apply(2, True)
    np.testing.assert_array_equal(plain[:, :1].repeat(200, 1), plain)
    assert np.abs(one - other).max() > 1e-2
    # Of four gates, each is deaf to x in a quarter of the examples: as h is 0 in the
    # first step, its output takes one of few values.
    assert 2 < len(np.unique(np.asarray(one[0]).round(5), axis=0)) <= 2**4


def test_steps_that_are_read_twice():
    x = np.random.default_rng(0).standard_normal((3, B, 2))
    layer, again = LSTM(U, repeat=2), LSTM(U)
    variables = layer.init(jax.random.key(0), x, train=False)
    expected = again.apply(variables, np.repeat(x, 2, axis=0), train=False)
    found = layer.apply(variables, x, train=False)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_pytorch_has_the_same_values_and_gradients():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    x = random.standard_normal((T, B, 3))
    params = {
        "kernel": random.standard_normal((3, 4 * U)),
        "recurrent_kernel": random.standard_normal((U, 4 * U)),
        "bias": random.standard_normal(4 * U),
    }
    theirs = torch.nn.LSTM(3, U).double()
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(torch.tensor(params["kernel"].T))
        theirs.weight_hh_l0.copy_(torch.tensor(params["recurrent_kernel"].T))
        theirs.bias_ih_l0.copy_(torch.tensor(params["bias"]))
        theirs.bias_hh_l0.zero_()
    given = random.standard_normal((T, B, U))
    h, _ = theirs(torch.tensor(x))
    (h * torch.tensor(given)).sum().backward()
    with jax.enable_x64(True):

        def loss(params):
            h = LSTM(U, dtype=x.dtype).apply({"params": params}, x, train=True)
            return jnp.sum(h * given), h

        grads, ours = quick(jax.grad(loss, has_aux=True))(params)
    np.testing.assert_allclose(ours, h.detach().numpy(), atol=1e-12)
    for name, expected in (
        ("kernel", theirs.weight_ih_l0.grad.T),
        ("recurrent_kernel", theirs.weight_hh_l0.grad.T),
        ("bias", theirs.bias_ih_l0.grad),
    ):
        np.testing.assert_allclose(grads[name], expected.numpy(), rtol=1e-9, atol=1e-11)


def test_the_loop_holds_one_product_and_no_gradient_of_a_kernel():
    """x W comes before all steps, and the gradient of R after them."""
    z, r, given, _ = cases()
    jaxpr = jax.make_jaxpr(jax.grad(lambda r: jnp.sum(recurrence(z, r) * given)))(r)
    loops = [e for e in jaxpr.eqns if e.primitive.name == "scan"]
    assert len(loops) == 2
    for loop in loops:
        inside = loop.params["jaxpr"].jaxpr.eqns
        assert [e.primitive.name for e in inside].count("dot_general") == 1
    assert lstm.GATES == 4
