"""How a label enters a network: appended embeddings, and what is rejected."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gans.layers.conditional import check_label, embed_label, label_map

LABEL = jnp.array([2, 0, 2], jnp.int32)


class Apply(nn.Module):
    """A function of layers as a module."""

    function: object

    @nn.compact
    def __call__(self, *args):
        return self.function(*args)


def run(function, *args):
    """The output and the parameters, compiled with little effort."""
    quick = {"xla_backend_optimization_level": 0}
    init = jax.jit(Apply(function).init_with_output, compiler_options=quick)
    y, variables = init(jax.random.key(0), *args)
    return y, variables.get("params", {})


def test_concat_appends_the_embedding_of_the_label():
    x = jnp.arange(12.0).reshape(3, 4)
    y, params = run(lambda x, k: embed_label(x, k, "concat", 5, features=6), x, LABEL)
    table = params["label"]["embedding"]
    assert y.shape == (3, 10) and table.shape == (5, 6)
    np.testing.assert_array_equal(y, np.concatenate([x, table[LABEL]], axis=1))
    assert (y[0, 4:] != y[1, 4:]).any()


@pytest.mark.parametrize("condition", [None, "projection"])
def test_other_conditions_leave_the_input_alone(condition):
    x = jnp.ones((3, 4))
    accepted = ("concat", "projection")
    y, params = run(lambda x, k: embed_label(x, k, condition, 5, accepted), x, LABEL)
    np.testing.assert_array_equal(y, x)
    assert y.shape == (3, 4) and params == {}


def test_embedding_takes_the_dtype_of_the_input():
    x = jnp.ones((3, 4), jnp.bfloat16)
    y, params = run(lambda x, k: embed_label(x, k, "concat", 5), x, LABEL)
    assert y.dtype == jnp.bfloat16 and y.shape == (3, 54)
    assert params["label"]["embedding"].dtype == jnp.float32


def test_label_map_is_one_more_channel():
    x = jnp.arange(3 * 2 * 4 * 3.0).reshape(3, 2, 4, 3)
    y, params = run(lambda x, k: label_map(x, k, 5, features=6), x, LABEL)
    assert y.shape == (3, 2, 4, 4)
    np.testing.assert_array_equal(y[..., :3], x)
    # The embedding through a dense layer onto the 2 x 4 positions, row by row.
    dense = params["label_map"]
    flat = params["label"]["embedding"][LABEL] @ dense["kernel"] + dense["bias"]
    np.testing.assert_allclose(y[..., 3], flat.reshape(3, 2, 4), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(y[0, ..., 3], y[2, ..., 3])
    assert (y[0, ..., 3] != y[1, ..., 3]).any()


@pytest.mark.parametrize(
    "label, condition, n_classes, message",
    [
        (LABEL, "projektion", 5, "condition='projektion': this network knows .*concat"),
        (LABEL, "projection", 5, "condition='projection': this network knows"),
        (None, "concat", 5, "'concat' needs data with labels, got n_classes=5 and no"),
        (LABEL, "concat", None, "got n_classes=None and a label"),
    ],
)
def test_rejected(label, condition, n_classes, message):
    with pytest.raises(ValueError, match=message):
        check_label(label, condition, n_classes, ("concat",))
    with pytest.raises(ValueError, match=message):
        run(lambda x: embed_label(x, label, condition, n_classes), jnp.ones((3, 4)))


def test_no_condition_needs_nothing():
    check_label(None, None, None, ())
    check_label(LABEL, None, 5, ())
    check_label(LABEL, "concat", 5, ("concat",))
