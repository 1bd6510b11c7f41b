"""Norms by name, and a norm that is added as a file."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans import networks
from gans.layers import norms

DOUBLE = """
from gans.layers.norms import Norm
NORM = Norm(lambda x, label, place, *, factor: factor * x, {"factor": 2.0})
"""


def test_a_norm_is_its_name_and_all_its_options():
    assert norms.find(None) == (norms.IDENTITY, {})
    found, options = norms.find({"name": "virtual", "n_reference": 5})
    assert options == {"n_reference": 5} and found.begin is not None
    assert norms.find("virtual")[1] == {"n_reference": 64}
    x = jnp.ones((2, 3))
    assert norms.IDENTITY.apply(x, None, None) is x


def test_pixel_norm_is_for_generators():
    assert norms.find("pixel", "Generator") == norms.find("pixel")
    with pytest.raises(ValueError, match="norm, .*'pixel' is not one of batch, inst"):
        norms.find("pixel", "Discriminator")


@pytest.mark.parametrize("role", networks.ROLES)
def test_a_new_norm_is_one_new_file(role, tmp_path, monkeypatch):
    options = {"shape": (2,)} if role == "Generator" else {}
    options |= {"widths": (4, 4)}

    def run(norm):
        module = networks.make(role, "mlp", norm=norm, **options)
        x = jnp.ones((1, 2))
        return module.init_with_output(jax.random.key(0), x, train=False)[0]

    with pytest.raises(ValueError, match="'double' is not one of batch"):
        run("double")
    (tmp_path / "double.py").write_text(DOUBLE)
    monkeypatch.setattr(norms, "__path__", [*norms.__path__, str(tmp_path)])
    plain = run(None)
    # Biases start from 0 and ReLU is homogeneous: a normalised layer's factor is the
    # network's. The generator has two such layers, the discriminator one.
    n = {"Generator": 2, "Discriminator": 1}[role]
    np.testing.assert_allclose(run("double"), 2**n * plain, rtol=1e-5)
    three = {"name": "double", "factor": 3.0}
    np.testing.assert_allclose(run(three), 3**n * plain, rtol=1e-5)
    assert np.abs(plain).max() > 1e-3
