"""Animations of moved input, and pictures of texture that sticks."""

import numpy as np
import pytest

from experiments.latent_space import motion, sticking
from gans.metrics.scores import equivariance


def test_transforms_are_the_inverse_of_the_motion():
    turns = motion.transforms(equivariance.rotation, 4)
    assert np.allclose(turns[0], np.eye(3)) and len(turns) == 4
    # A quarter turn takes (1, 0) to (0, 1); its inverse takes (0, 1) to (1, 0).
    assert np.allclose(turns[1] @ [0, 1, 1], [1, 0, 1], atol=1e-6)


def test_an_input_that_cannot_be_moved_is_refused(workdir, tmp_path):
    for verb in (motion.pan, motion.rotate):
        with pytest.raises(ValueError, match="input cannot be moved and turned"):
            verb(workdir, out=str(tmp_path / "x.webp"))
    with pytest.raises(ValueError, match="--amount=2: wanted above 0"):
        motion.pan(workdir, out=str(tmp_path / "x.webp"), amount=2)


def test_frames_have_the_pixels_of_the_images():
    class Model:
        def images(self, ws, transform):
            return transform[:, None, None, :1, 0].repeat(4, 1).repeat(4, 2) * ws[0]

    inverse = np.linspace(-1, 1, 9)[:, None, None] * np.ones((1, 3, 3))
    frames = [*motion._frames([(Model(), np.array([[1.0], [0.5]]))], inverse)]
    seen = [(int(x[0, 0, 0]), int(x[0, -99, 0])) for x in frames]
    wanted = np.rint((np.linspace(-1, 1, 9)[:, None] * [1, 0.5] + 1) * 127.5)
    assert np.array_equal(seen, wanted)


def test_a_slice_has_the_middle_columns():
    images = np.arange(8)[:, None, None, None] * np.ones((8, 4, 4, 1))
    images[:, :, :2] = -1  # columns that are not in it
    found = sticking.sliced(images)
    assert np.array_equal(found[..., 0], np.tile([0, 2, 5, 7], (4, 1)))
    drawn = sticking.neighbours(np.array([1.0, 0.0]), seed=0)
    assert drawn.shape == (128, 2) and np.allclose(drawn.mean(0), 0)
    assert (drawn[:, 1] == 0).all()


@pytest.mark.slow
def test_sticking_draws_three_pictures_a_point(workdir, tmp_path):
    out = sticking.run(workdir, out=str(tmp_path / "x.png"), seeds="0,1")
    from PIL import Image

    width, height = Image.open(out).size
    assert width > height > 0
