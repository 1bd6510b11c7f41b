"""Encoders of sentences and of images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.networks import joint

KEY = jax.random.key(0)


@pytest.mark.parametrize("cell", joint.CELLS)
def test_what_comes_after_a_sentence_does_not_matter(cell):
    """And its words do; their order to the recurrent cell alone."""
    module = joint.Words(n_words=9, features=5, cell=cell)
    sentences = jnp.array([[3, 1, 0, 0], [1, 3, 0, 0], [2, 1, 0, 0]])
    variables = module.init(KEY, sentences, train=False)
    apply = jax.jit(lambda x: module.apply(variables, x, train=False))
    found = apply(sentences)
    np.testing.assert_allclose(apply(sentences[:, :2]), found, rtol=1e-5)
    assert np.abs(found[0] - found[2]).max() > 1e-3
    differ = np.abs(found[0] - found[1]).max()
    assert differ < 1e-6 if cell == "mean" else differ > 1e-3
