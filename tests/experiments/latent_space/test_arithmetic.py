"""Arithmetic of codes: expressions, sums, what is drawn, and mistakes."""

import numpy as np
import pytest
from PIL import Image

from experiments.evaluation import extractors
from experiments.latent_space import arithmetic, codes
from experiments.sampling.model import Model
from gans.metrics.features.extractor import Extractor


def test_expressions():
    found = arithmetic.read("seed:3,7 - a-b + 5")
    assert found == [(1, "seed:3,7"), (-1, "a-b"), (1, "5")]
    for text in ("3", "3 +", "3-4", ""):
        with pytest.raises(ValueError, match="wanted terms between"):
            arithmetic.read(text)


def test_sums_of_means():
    x = np.arange(12.0).reshape(3, 2, 2)
    terms = [arithmetic.Term(name, s, part) for name, s, part in zip(
        "abc", (1, -1, 1), x, strict=True)]  # fmt: skip
    # means [1, 2], [5, 6], [9, 10]
    np.testing.assert_allclose(arithmetic.total(terms), [5, 6])


def test_noise_is_bounded_and_moves_all_layers_alike():
    code = np.zeros((3, 6), np.float32)
    near = arithmetic.around(code, 0.2)
    assert near.shape == (8, 3, 6) and 0.15 < np.abs(near).max() <= 0.2
    assert (near == near[:, :1]).all()


def test_the_codes_of_seeds_are_those_of_samples(digits_run):
    model = Model.load(digits_run("dcgan"))
    z = codes.of(model)
    made = model.sample(2, seed=3)["image"]
    scale = np.abs(made).max()  # that of an untrained network is small
    found, other = (z.images(z.of_seed(seed, 2)) / scale for seed in (3, 4))
    np.testing.assert_allclose(found, made / scale, atol=1e-3)
    assert np.abs(other - made / scale).max() > 0.05


def bright(images):
    """Logits of dark and of bright images."""
    return images.mean((1, 2, 3))[:, None] / 255 * np.array([-1.0, 1.0])


@pytest.mark.slow
def test_pictures_of_z_and_of_w(digits_run, styled_run, tmp_path, monkeypatch):
    monkeypatch.setattr(arithmetic, "N_POOL", 40)
    monkeypatch.setattr(
        extractors,
        "find",
        lambda name, **_: (
            lambda: Extractor("x", lambda _, images: {"logits": bright(images)}, {}, {})
        ),
    )
    for folder in (digits_run("dcgan"), styled_run):
        out = tmp_path / f"{folder.name}.png"
        expression = "seed:3,7 - seed:1 + 1"
        options = {"extractor": "own.bright", "n": 2}
        arithmetic.run(folder, out=str(out), expression=expression, **options)
        with Image.open(out) as picture:
            assert picture.size == (10 * 66 - 2, 5 * (64 + 18))
    with pytest.raises(ValueError, match="wanted a logit, from 0 to 1"):
        arithmetic.run(styled_run, out=str(out), expression="2 - 0", **options)


def test_mistakes(digits_run):
    with pytest.raises(ValueError, match="--class=NAME is that of all"):
        codes.of(Model.load(digits_run("cgan")))
    with pytest.raises(ValueError, match="wanted one class"):
        codes.of(Model.load(digits_run("cgan")), "1,2")
