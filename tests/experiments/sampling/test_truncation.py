"""The truncation trick: models with a mapping network, and those without."""

import numpy as np
import pytest

import experiments
from experiments.sampling.draw import draw
from gans import core


@pytest.fixture
def workdir(styled_run):
    return styled_run


def test_samples_move_towards_the_mean(workdir, tmp_path):
    model = experiments.load(workdir)
    found = {
        psi: model.sample(6, seed=1, label=[2, 5], truncation=psi)["image"]
        for psi in (None, 1, 0.5, 0)
    }
    np.testing.assert_allclose(found[None], found[1], atol=1e-6)
    net = core.bind(model.gan, model.state, train=False, ema=True)["g"]
    mean = np.tile(net.stats["style"]["w_avg"], (6, net.module.n_ws, 1))
    inputs = model.inputs(6, seed=1, label=[2, 5], truncation=0)
    assert inputs["truncation"].tolist() == [0] * 6
    assert inputs["label"].tolist() == [2, 5] * 3
    # Beside their noise, all samples are the image of the mean w; others are not.
    wanted = net(mean, method="synthesis", noise="none")
    far = {psi: np.abs(x - wanted).mean() for psi, x in found.items()}
    assert far[0] < far[0.5] < far[1]
    # The command draws the same, and keeps class and seed.
    path = draw(
        workdir,
        n=6,
        out=tmp_path / "x.npz",
        seed=1,
        label="2,5",
        truncation=0.5,
    )
    with np.load(path) as arrays:
        levels = np.rint((found[0.5].clip(-1, 1) + 1) * 127.5).astype(int)
        np.testing.assert_allclose(arrays["image"].astype(int), levels, atol=1)
        assert arrays["label"].tolist() == [2, 5] * 3


def test_interpolations_are_truncated_too(workdir, tmp_path):
    found = []
    for psi in (None, 0.0):
        path = tmp_path / f"{psi}.npz"
        draw(workdir, n=2, out=path, interpolate=3, truncation=psi)
        found.append(np.load(path)["image"].astype(int))
    assert found[0].shape == (6, 16, 16, 1)
    assert np.abs(found[0] - found[1]).max() > 5


def test_what_cannot_be_truncated(workdir, untrained, tmp_path):
    model = experiments.load(workdir)
    with pytest.raises(ValueError, match="truncation inf: wanted a number"):
        model.sample(1, truncation=float("inf"))
    other = untrained("series", tmp_path)
    with pytest.raises(ValueError, match="truncation 0.7: .* has no mapping network"):
        draw(other, n=1, out=tmp_path / "x.npz", truncation=0.7)
    with pytest.raises(ValueError, match="--training shows .*--truncation has no eff"):
        draw(workdir, out=tmp_path / "x.gif", training=True, truncation=0.7)
