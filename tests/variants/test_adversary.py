"""What the discriminators of translations are given: penalties, data that fit."""

import functools
import types

import jax
import numpy as np
import pytest

from experiments import config as configs
from gans import networks
from gans.losses import penalties
from gans.networks import patch


def test_the_penalty_of_a_map_is_the_authors(arrays):
    """Theirs is of the sum over the map, ours in training of its mean."""
    kept = arrays("gradient_penalty")
    state = {k[2:]: v.astype(np.float64) for k, v in kept.items() if k[:2] == "w/"}
    real, fake = (
        np.moveaxis(kept[x].astype(np.float64), 1, -1) for x in ("real", "fake")
    )
    alpha = kept["alpha"].astype(np.float64)[:, :, None, None]
    points = {"real": real, "fake": fake, "mixed": alpha * real + (1 - alpha) * fake}
    with jax.enable_x64(True):
        options, variables = patch.from_torch(state)
        d = networks.make("Discriminator", "patch", dtype="float64", **options)

        def norms(x, reduced):
            def discriminate(x):
                return reduced(d.apply(variables, x, train=True), axis=(1, 2))

            return penalties.gradient_norms(discriminate, x)

        of = jax.jit(norms, static_argnums=1)
        for kind, x in points.items():
            found = np.asarray(of(x, jax.numpy.sum))
            for constant in (0, 1):
                expected = kept[f"{kind}_{constant}/value"]
                ours = 10 * np.mean((found - constant) ** 2)
                np.testing.assert_allclose(ours, expected, rtol=1e-6)
        # The negative control: another reduction.
        wrong = 10 * np.mean(np.asarray(of(real, jax.numpy.mean)) ** 2)
        assert abs(wrong / kept["real_0/value"] - 1) > 0.1


@pytest.mark.parametrize(
    "groups, fits", [([("a", "b")], True), ([("a",), ("b",)], False)]
)
def test_unpaired_data_are_rejected_where_pairs_are_needed(tiny, groups, fits):
    config = tiny("pix2pix")
    check = functools.partial(configs.check_pairs, config, configs.build(config))
    source = types.SimpleNamespace(groups=groups)
    if fits:
        check(source)
    else:
        with pytest.raises(ValueError, match="a and b of an example do not belong"):
            check(source)
