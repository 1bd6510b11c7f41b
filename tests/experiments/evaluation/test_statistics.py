"""Statistics files: read by pytorch-fid, and of it; rejected where they do not fit."""

import json

import numpy as np
import pytest

from experiments.evaluation import statistics
from experiments.evaluation.features import Features
from experiments.evaluation.statistics import compare, holds, read, write
from gans.metrics.features.extractor import Extractor
from gans.metrics.scores import frechet

EXTRACTOR = Extractor(
    "net", None, None, {"weights": "ab12", "resize": "299x299 tf", "scale": "x/2"}
)


def features(n=200, d=20, seed=0, shift=0.0):
    x = np.random.default_rng(seed).standard_normal((n, d)) * np.arange(1, d + 1)
    return Features((x + shift).astype(np.float32), None, (8, 8, 3), 0)


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "a.npz"
    x = features()
    write(path, x, EXTRACTOR)
    assert holds(path) and holds(str(path))
    found = read(path)
    wide = x.features.astype(np.float64)
    assert found.mean.dtype == found.cov.dtype == np.float64
    np.testing.assert_allclose(found.mean, wide.mean(axis=0), rtol=1e-10)
    cov = np.cov(wide, rowvar=False)
    np.testing.assert_allclose(found.cov, cov, rtol=0, atol=1e-10 * cov.max())
    assert found.n == 200
    assert found.protocol == {"extractor": "net", **EXTRACTOR.protocol}
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_pytorch_fid_reads_ours(reference, tmp_path):
    theirs = reference("pytorch_fid.fid_score")
    x, y = features(seed=1, shift=0.3), features(seed=2)
    pair = []
    for name, z in (("x", x), ("y", y)):
        path = tmp_path / f"{name}.npz"
        write(path, z, EXTRACTOR)
        # A file of statistics needs neither model, batch size nor dimensions there.
        pair.append(theirs.compute_statistics_of_path(str(path), None, 1, 20, "cpu", 0))
    found = theirs.calculate_frechet_distance(*pair[0], *pair[1])
    assert found == pytest.approx(
        frechet.distance_of_features(x.features, y.features), rel=1e-8
    )


def test_theirs_is_read_here(reference, tmp_path):
    theirs = reference("pytorch_fid.fid_score")
    sets = [features(seed=1, shift=0.3), features(seed=2)]
    paths = [tmp_path / "x.npz", tmp_path / "y.npz"]
    wide = [z.features.astype(np.float64) for z in sets]
    pair = [(z.mean(axis=0), np.cov(z, rowvar=False)) for z in wide]
    for path, (mu, sigma) in zip(paths, pair, strict=True):
        np.savez_compressed(path, mu=mu, sigma=sigma)  # as its save_fid_stats does
    assert all(map(holds, paths))
    ours = [read(path) for path in paths]
    assert [(s.n, s.protocol) for s in ours] == [(None, None)] * 2
    found = frechet.distance(*((s.mean, s.cov) for s in ours))
    expected = theirs.calculate_frechet_distance(*pair[0], *pair[1])
    assert found == pytest.approx(expected, rel=1e-8)
    # ddof=0 would not pass.
    scaled = frechet.distance(*((s.mean, s.cov * 199 / 200) for s in ours))
    assert abs(scaled / expected - 1) > 1e-7


def test_what_holds_no_statistics(tmp_path):
    images = np.zeros((2, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "images.npz", image=images)
    np.savez(tmp_path / "half.npz", mu=np.zeros(3))
    (tmp_path / "empty.npz").touch()
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 and then nothing of a zip")
    (tmp_path / "folder.npz").mkdir()
    with open(tmp_path / "renamed.npz", "wb") as file:
        np.save(file, images)
    write(tmp_path / "good.npz", features(), EXTRACTOR)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "good.npz").read_bytes()[:-99])
    found = {path.name for path in tmp_path.iterdir() if holds(path)}
    assert found == {"good.npz"}
    assert not holds(tmp_path / "none.npz") and not holds("digits@test")


def damaged(path):
    content = bytearray(path.read_bytes())
    content[500] ^= 255  # within mu
    path.write_bytes(content)


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"mu": np.zeros(3), "sigma": np.zeros((3, 2))}, r"\[3\] and \[3, 2\]; wanted"),
        ({"mu": np.zeros((1, 3)), "sigma": np.eye(3)}, r"\[1, 3\] and \[3, 3\]"),
        ({"mu": np.zeros(3), "sigma": np.eye(3), "protocol": "{"}, "not a readable"),
        ({"mu": np.array([{}]), "sigma": np.eye(1)}, "not a readable.*allow_pickle"),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path, arrays, message):
    path = tmp_path / "strange.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=f"strange.npz.*{message}"):
        read(path)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, mu=np.zeros(100), sigma=np.eye(100))
    damaged(path)
    assert holds(path)
    with pytest.raises(ValueError, match="a.npz is not a readable file of statistics"):
        read(path)


def test_another_protocol_is_rejected():
    ours = statistics.protocol(EXTRACTOR)
    compare("a.npz", dict(ours), ours)
    compare("a.npz", None, ours)  # nothing can be checked
    # What says nothing of the features may differ.
    compare("a.npz", ours | {"test_accuracy": 0.5}, ours)
    theirs = ours | {"resize": "299x299 clean", "weights": "cd34"}
    with pytest.raises(ValueError) as caught:
        compare("a.npz", theirs, ours)
    assert str(caught.value) == (
        "a.npz is of another protocol: weights: cd34 there, ab12 here; "
        "resize: 299x299 clean there, 299x299 tf here"
    )


@pytest.mark.parametrize("key", statistics.COMPARED)
def test_each_key_counts(key):
    ours = dict.fromkeys(statistics.COMPARED, "a")
    for theirs in (ours | {key: "b"}, {k: v for k, v in ours.items() if k != key}):
        with pytest.raises(ValueError, match=f"another protocol: {key}: "):
            compare("a.npz", theirs, ours)


def test_the_protocol_is_json(tmp_path):
    write(tmp_path / "a.npz", features(), EXTRACTOR)
    with np.load(tmp_path / "a.npz") as content:
        assert json.loads(str(content["protocol"]))["extractor"] == "net"
