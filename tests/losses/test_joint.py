"""The structured joint embedding's loss, by hand."""

import jax.numpy as jnp
import numpy as np

from gans.losses import joint

SCORES = jnp.array([[2.0, 1.5, 0.0], [0.0, 1.0, 3.0], [0.0, 0.0, 5.0]])
OWN = np.eye(3, dtype=bool)


def test_mistakes_within_the_margin_cost_what_they_lack():
    # Of images (rows): 1 + 1.5 - 2 = 0.5; 1 + 0 - 1 = 0 and 1 + 3 - 1 = 3; none.
    # Of sentences (columns): none; 1 + 1.5 - 1 = 1.5 and 0; none (1 + 3 - 5 < 0).
    # The mean over 6 wrong pairs.
    found = joint.structured(SCORES, jnp.asarray(OWN))
    np.testing.assert_allclose(found, (0.5 + 3 + 1.5) / 6, rtol=1e-6)


def test_equal_sentences_are_no_mistake():
    same = OWN.copy()
    same[0, 1] = same[1, 0] = True
    # Without these pairs: 3 of the second image, over 4 wrong pairs.
    found = joint.structured(SCORES, jnp.asarray(same))
    np.testing.assert_allclose(found, 3 / 4, rtol=1e-6)
    # All are equal: nothing can be learnt, and nothing divides by 0.
    assert joint.structured(SCORES, jnp.ones((3, 3), bool)) == 0
