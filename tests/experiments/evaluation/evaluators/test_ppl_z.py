"""Path lengths of images that move on a circle."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.evaluation.evaluators import ppl_z
from gans.metrics.features.extractor import Extractor


def measured(*args):
    return {name: x.to_json() for name, x in ppl_z.measure(*args).items()}


def flat(name):
    """An extractor whose features are the images in [-1, 1] themselves."""

    def apply(_, images):
        return {"features": (images / 127.5 - 1).reshape(len(images), -1)}

    return Extractor(name, apply, {}, {})


def circle(radius):
    """Images of two pixels, on a circle as the latents are."""
    return lambda z, key: radius * z.reshape(-1, 1, 2, 1)


def test_a_path_on_a_circle():
    # Ends at an angle of 0.8: the length of an arc's image is (0.8 t)^2 on the unit
    # circle, and as much times the radius squared without the scaling to unit length.
    start = np.random.default_rng(0).uniform(0, 6, 70)
    z0, z1 = (np.stack([np.cos(a), np.sin(a)], 1) for a in (start, start + 0.8))
    (value,) = measured(flat("flat"), circle(0.5), z0, z1).values()
    assert value["value"] == pytest.approx(0.64, rel=2e-3)
    assert value["standard_error"] < 1e-3 and value["better"] == "lower"
    assert (value["n_pairs"], value["n_kept"], value["epsilon"]) == (70, 70, 1e-4)
    assert value["distance"].startswith("|f(x)/|f(x)|")
    assert (value["images"], value["path"][:5]) == ("float32", "slerp")
    found = measured(flat("lpips_vgg"), circle(0.5), z0, z1)
    assert found["ppl_z_lpips_vgg"]["value"] == pytest.approx(0.16, rel=2e-3)
    assert found["ppl_z_lpips_vgg"]["distance"] == "LPIPS"
    # Images of whole levels show nothing of it.
    whole = lambda z, key: jnp.round(circle(0.5)(z, key) * 127.5) / 127.5  # noqa: E731
    (rounded,) = measured(flat("flat"), whole, z0, z1).values()
    assert not 0.3 < rounded["value"] < 1.3


@pytest.mark.parametrize("terminal", [True, False])
def test_path_lengths_are_named_on_terminals(terminal, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    z = np.random.default_rng(0).normal(size=(2, 5, 2))
    measured(flat("flat"), circle(0.5), *z)
    assert ("ppl_z by flat" in capsys.readouterr().err) == terminal
