import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans import diagnostics
from gans.layers.conv import Conv
from gans.networks.mlp import Discriminator

BATCH = (64, 32, 32, 3)


def batch(seed, shape=BATCH, scale=1.0, shift=0.0):
    x = np.random.default_rng(seed).normal(shift, scale, shape)
    return jnp.asarray(x, jnp.float32)


def values(found):
    assert all(x.shape == () and x.dtype == jnp.float32 for x in found.values())
    return {name: float(x) for name, x in found.items()}


# --- scores ---------------------------------------------------------------------------

REAL, FAKE = jnp.array([3.0, 1.0, 0.0, -2.0]), jnp.array([-1.0, -3.0, 2.0, 0.0])


@pytest.mark.parametrize(
    "boundary, expected",
    [
        # 3 and 1 are above 0, -1 and -3 below; a logit of 0 is on no side. Signs 1, 1,
        # 0, -1.
        (0.0, (0.5, 0.5, 0.25)),
        # LSGAN's: 3 and 1 above 0.5; -1, -3 and 0 below. Signs 1, 1, -1, -1.
        (0.5, (0.5, 0.75, 0.0)),
        # The midpoint of 0.5 and -0.5 is 0.
        (None, (0.5, 0.5, 0.25)),
    ],
)
def test_scores_by_hand(boundary, expected):
    found = values(diagnostics.scores(REAL, FAKE, boundary))
    accuracy_real, accuracy_fake, sign = expected
    assert found == {
        "score_real": 0.5,
        "score_fake": -0.5,
        "score_gap": 1.0,
        "accuracy_real": accuracy_real,
        "accuracy_fake": accuracy_fake,
        "sign": sign,
    }


def test_without_a_boundary_a_constant_changes_nothing_but_the_means():
    # A Wasserstein critic is free to add 10; the boundary 0 would call all of it real.
    shifted = values(diagnostics.scores(REAL + 10, FAKE + 10, None))
    plain = values(diagnostics.scores(REAL, FAKE, None))
    assert shifted == {**plain, "score_real": 10.5, "score_fake": 9.5}
    wrong = values(diagnostics.scores(REAL + 10, FAKE + 10, 0.0))
    assert (wrong["accuracy_real"], wrong["accuracy_fake"]) == (1, 0)


def test_scores_against_numpy_in_half_precision():
    logits = [batch(seed, (1000,), shift=s) for seed, s in ((0, 0.3), (1, -0.4))]
    real, fake = (np.asarray(x.astype(jnp.bfloat16), np.float64) for x in logits)
    found = values(diagnostics.scores(*(x.astype(jnp.bfloat16) for x in logits), 0.0))
    expected = {
        "score_real": real.mean(),
        "score_fake": fake.mean(),
        "score_gap": real.mean() - fake.mean(),
        "accuracy_real": (real > 0).mean(),
        "accuracy_fake": (fake < 0).mean(),
        "sign": np.sign(real).mean(),
    }
    # Summed in bfloat16 the means would be off by 4e-3 of themselves, and more.
    assert found == pytest.approx(expected, rel=1e-5)


# --- diversity ------------------------------------------------------------------------


def rms_distance(x):
    """Over all pairs of different rows, one by one."""
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    squares = [((x - row) ** 2).sum(1) for row in x]
    return np.sqrt(np.sum(squares) / (len(x) * (len(x) - 1)))


def test_diversity_by_hand():
    # Two points 5 apart, (0, 0) and (3, 4), against three with distances 1, 1 and
    # sqrt(2): mean square 4/3.
    real = jnp.array([[0.0, 0.0], [3.0, 4.0]])
    fake = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = diagnostics.diversity(real, fake)
    assert found.shape == () and found.dtype == jnp.float32
    assert float(found) == pytest.approx(np.sqrt(4 / 3) / 5, rel=1e-6)


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_diversity_is_that_of_all_pairs(shift):
    real = batch(0, (17, 4, 4, 3), shift=shift)
    fake = batch(1, (13, 4, 4, 3), 0.01, shift=shift)
    expected = rms_distance(fake) / rms_distance(real)
    found = float(diagnostics.diversity(real, fake))
    assert found == pytest.approx(expected, rel=1e-5)

    # Negative controls. Pairs of a row with itself count in neither mean, which shows
    # where the batches differ; and E[x^2] - E[x]^2 loses all in float32 at a shift.
    biased = np.sqrt(np.var(fake, 0).sum() / np.var(real, 0).sum())
    assert abs(biased / expected - 1) > 1e-3
    if shift:
        squares = (fake**2).mean(0) - fake.mean(0) ** 2
        assert abs(np.sqrt(abs(squares.sum())) / rms_distance(fake) - 1) > 1e-2


def test_diversity_tells_a_collapse_from_health():
    real = batch(0)
    one = jnp.broadcast_to(real[:1], BATCH)
    assert float(diagnostics.diversity(real, batch(1))) == pytest.approx(1, abs=0.01)
    assert float(diagnostics.diversity(real, one)) < 1e-6
    # Two images in turn: the RMS distance within is |a - b| times sqrt(32 / 63).
    two = jnp.where(jnp.arange(64)[:, None, None, None] % 2, real[0], real[1])
    expected = np.linalg.norm(real[0] - real[1]) * np.sqrt(32 / 63) / rms_distance(real)
    found = float(diagnostics.diversity(real, two))
    assert found == pytest.approx(expected, rel=1e-5)


def test_diversity_where_there_is_nothing_to_compare_with():
    # 0.1 has no exact mean in float32: its rounding must not pass for a spread.
    same, other = jnp.full((7, 5), 0.1), jnp.full((7, 5), 0.3)
    assert float(diagnostics.diversity(same, other)) == 1
    found = float(diagnostics.diversity(same, batch(0, (7, 5))))
    assert 1e3 < found < np.inf
    assert np.isnan(diagnostics.diversity(same[:1], other[:1]))


# --- saturated ------------------------------------------------------------------------


def test_saturated_by_hand():
    x = jnp.array([[1.0, -1.0], [0.995, -0.995], [0.98, -0.98], [0.0, 0.5]])
    found = diagnostics.saturated(x)
    assert found.shape == () and float(found) == 4 / 8


# --- singular values ------------------------------------------------------------------


def test_singular_values_by_hand():
    # [[3, 0], [4, 5]]: the Gram matrix [[25, 20], [20, 25]] has eigenvalues 45 and 5.
    params = {
        "a": {"b": {"kernel": jnp.array([[3.0, 0.0], [4.0, 5.0]])}},
        "norm": {"scale": jnp.ones((2, 2)), "kernel": jnp.ones(2)},
        "dead": {"kernel": jnp.zeros((3, 3, 2, 4))},
    }
    found = values(diagnostics.singular_values(params))
    assert found == pytest.approx({"a/b": np.sqrt(45), "dead": 0.0}, rel=1e-6)


@pytest.mark.parametrize("shape", [(3, 3, 16, 8), (4, 4, 2, 64), (100, 128), (7, 1)])
def test_singular_values_against_numpy(shape):
    kernel = batch(0, shape, 0.02)
    matrix = np.asarray(kernel, np.float64).reshape(-1, shape[-1])
    expected = np.linalg.svd(matrix, compute_uv=False)[0]
    (found,) = diagnostics.singular_values({"x": {"kernel": kernel}}).values()
    assert float(found) == pytest.approx(expected, rel=1e-5)
    if len(shape) == 4:  # control: other axes as the matrix, as torch lays them out
        other = np.linalg.svd(matrix.reshape(shape[0], -1), compute_uv=False)[0]
        assert abs(other / expected - 1) > 1e-2


def test_singular_values_where_they_nearly_meet():
    # An orthogonal matrix, all of whose values are 1: power iteration would do as well,
    # its stopping rule would not.
    matrix = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))[0]
    matrix = matrix @ np.diag([1 + 1e-4] + 63 * [1.0])
    kernel = jnp.asarray(matrix, jnp.float32)
    (found,) = diagnostics.singular_values({"x": {"kernel": kernel}}).values()
    assert float(found) == pytest.approx(1 + 1e-4, rel=1e-5)


def test_singular_values_against_torch():
    torch = pytest.importorskip("torch")
    conv = torch.nn.Conv2d(3, 8, 4, bias=False)
    norm = torch.nn.utils.parametrizations.spectral_norm(conv, n_power_iterations=200)
    plain = norm.parametrizations.weight.original.detach()
    expected = float((plain.flatten()[0] / norm.weight.flatten()[0]).detach())
    kernel = plain.numpy().transpose(2, 3, 1, 0)  # OIHW -> HWIO
    (found,) = diagnostics.singular_values(
        {"x": {"kernel": jnp.asarray(kernel)}}
    ).values()
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_names_are_those_of_the_layers():
    x = jnp.zeros((1, 4, 4, 2))
    params = Conv(3, (3, 3)).init(jax.random.key(0), x)["params"]
    assert list(diagnostics.singular_values({"stem": params})) == ["stem"]
    module = Discriminator(widths=(8, 8))
    variables = module.init(jax.random.key(0), x, train=True)["params"]
    names = set(diagnostics.singular_values(variables))
    assert names == {name for name in variables if "kernel" in variables[name]}
    assert len(names) == 3


# --- cost -----------------------------------------------------------------------------


def test_what_every_update_takes_is_cheap():
    """Against one layer's multiplications, which a discriminator has several of."""

    @jax.jit
    def figures(real, fake):
        logits = real[:, 0, 0, 0], fake[:, 0, 0, 0]
        shown = diagnostics.scores(*logits, None)
        return shown, diagnostics.diversity(real, fake), diagnostics.saturated(fake)

    @jax.jit
    def layer(x, kernel):
        return x.reshape(len(x), -1) @ kernel

    kernel = batch(2, (np.prod(BATCH[1:]), 1024))
    x = batch(0), batch(1)

    def seconds(f, *args):
        jax.block_until_ready(f(*args))
        spent = []
        for _ in range(10):
            start = time.perf_counter()
            jax.block_until_ready(f(*args))
            spent.append(time.perf_counter() - start)
        return min(spent)

    assert seconds(figures, *x) < seconds(layer, x[0], kernel)
