"""The verbs, on a generator of no training: what their pictures and files hold."""

import re

import numpy as np
import pytest
from PIL import Image

from experiments.evaluation import extractors
from experiments.latent_space import directions, edit, interpolate, mix, points, project
from gans.data.kinds.image import encode
from gans.metrics.features.extractor import Extractor

TILE, GAP, TOP = 64, 2, 18


def tiles(path, columns, top=TOP, left=0, tile=TILE):
    """[rows, columns, 16, 16]: the pixels of a grid's images, which are enlarged."""
    pixels = np.asarray(Image.open(path).convert("L"))[top:, left:]
    rows = (len(pixels) + GAP) // (tile + GAP)
    step, each = tile + GAP, tile // 16
    return np.array(
        [
            [
                pixels[r * step :, c * step :][:tile:each, :tile:each]
                for c in range(columns)
            ]
            for r in range(rows)
        ]
    )


def shown(styled, ws):
    return encode(styled.images(np.asarray(ws)))[..., 0]


def assert_same(a, b):
    np.testing.assert_allclose(a.astype(int), b.astype(int), atol=1)


def test_mix(styled, workdir, tmp_path):
    out = str(tmp_path / "new" / "mix.png")
    given = {"rows": "0,1", "columns": "5-7", "layers": "0,middle+fine"}
    assert mix.run(workdir, out=out, **given) == out
    height = TOP + 3 * (TILE + GAP) - GAP
    assert Image.open(out).size == (4 * (TILE + GAP) - GAP, 2 * height)
    down, across = (
        np.stack([x.ws for x in points.read(t, styled)]) for t in ("0,1", "5-7")
    )
    for block, layers in ((0, [0]), (height, [1, 2])):
        found = tiles(out, 4, block + TOP)[:3]
        assert (found[0, 0] > 250).all()  # the corner
        assert_same(found[0, 1:], shown(styled, across))
        assert_same(found[1:, 0], shown(styled, down))
        for r in (0, 1):
            for c in (0, 1, 2):
                ws = down[r].copy()
                ws[layers] = across[c][layers]
                assert_same(found[1 + r, 1 + c], shown(styled, ws[None])[0])
    # Control: the other layers are another picture.
    first, second = (tiles(out, 4, top + TOP)[1, 1] for top in (0, height))
    assert np.abs(first.astype(int) - second).max() > 2


def test_walks_pass_through_their_points_and_close():
    keys = np.random.default_rng(0).normal(size=(4, 3, 6))
    for walk in (interpolate.lines, interpolate.spline):
        ws = walk(keys, 10)
        assert ws.shape == (40, 3, 6)
        np.testing.assert_allclose(ws[::10], keys, atol=1e-12)
    line, curve = (walk(keys, 100) for walk in (interpolate.lines, interpolate.spline))
    np.testing.assert_allclose(line[350], (keys[3] + keys[0]) / 2, atol=1e-12)
    # A spline turns nowhere at once, not at the first point either.
    for ws, smooth in ((line, False), (curve, True)):
        steps = np.diff(ws, axis=0, append=ws[:1])
        turns = np.linalg.norm(np.roll(steps, -1, 0) - steps, axis=(1, 2))
        assert (turns.max() < 3 * np.median(turns) + 1e-3) == smooth


def test_interpolate(styled, workdir, tmp_path):
    out = str(tmp_path / "walk.webp")
    given = {"seeds": "0-2", "frames": 4, "path": "line", "label": "3"}
    interpolate.run(workdir, out=out, fps=20, **given)
    with Image.open(out) as picture:
        assert (picture.n_frames, picture.size) == (12, (512, 512))
        picture.seek(4)
        frame = np.asarray(picture.convert("L"))[::32, ::32]
    seed = points.read("1", styled, label="3")[0]
    assert_same(frame, shown(styled, seed.ws[None])[0])
    strip = str(tmp_path / "walk.png")
    interpolate.run(workdir, out=strip, **given)
    found = tiles(strip, 4, 0)
    assert found.shape[:2] == (3, 4)
    ends = [x.ws for x in points.read("2,0", styled, label="3")]
    assert_same(found[2, 2], shown(styled, np.mean(ends, axis=0)[None])[0])
    # Great circles of Z begin at the same points, and go elsewhere.
    interpolate.run(workdir, out=strip, **{**given, "path": "sphere"})
    circles = tiles(strip, 4, 0)
    assert_same(circles[:, 0], found[:, 0])
    assert np.abs(circles[:, 2].astype(int) - found[:, 2]).max() > 2


@pytest.mark.parametrize(
    "flags, error",
    [
        ({"seeds": "3"}, "--seeds=3: a walk needs two points at least"),
        ({"frames": 1}, "--frames=1: wanted at least 2"),
        ({"fps": 90.0}, "--fps=90: wanted 1 to 60"),
        ({"path": "lines"}, "--path: 'lines' is not one of.*did you mean 'line'"),
        ({"path": "sphere", "seeds": "0,x.npz"}, "projected pictures have no z"),
        ({"path": "sphere", "label": "1,2"}, "sphere takes one class"),
        ({"out": "x.jpg"}, "wanted a file that ends in .gif, .webp, .mp4 or .png"),
    ],
)
def test_what_is_no_walk(workdir, tmp_path, flags, error):
    with pytest.raises(ValueError, match=error):
        interpolate.run(workdir, **{"out": str(tmp_path / "x.gif"), **flags})


def test_closed_form_directions_and_an_edit(styled, workdir, tmp_path):
    out = str(tmp_path / "x.npz")
    said = directions.run(workdir, out=out, layers="middle+fine", n=2)
    assert re.fullmatch(r"(factor \d: eigenvalue .*\n){2}.*x.npz", said)
    found = directions.load(out, styled)
    assert found.vectors.shape == (2, 6) and found.layers.tolist() == [1, 2]
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1)
    w, _ = styled.samples(2000)
    np.testing.assert_allclose(found.deviations, (w @ found.vectors.T).std(0))
    strip = str(tmp_path / "x.png")
    edit.run(workdir, out=strip, directions=out, seeds="1,2", amount=2, frames=3)
    grid = tiles(strip, 3, TOP, edit._MARGIN)
    assert grid.shape[:2] == (4, 3)
    one = points.read("2", styled)[0].ws.copy()
    assert_same(grid[2, 1], shown(styled, one[None])[0])
    one[1:] += 2 * found.deviations[1] * found.vectors[1]
    assert_same(grid[3, 2], shown(styled, one[None])[0])
    assert np.abs(grid[3, 2].astype(int) - grid[3, 1]).max() > 2


def test_directions_of_the_classes_that_were_asked_for(styled, workdir, tmp_path):
    out = str(tmp_path / "x.npz")
    said = directions.run(workdir, out=out, method="labels", n=1000, label="1,4")
    found = directions.load(out, styled)
    assert found.names == ("towards 1", "towards 4") and found.layers.tolist() == [
        0,
        1,
        2,
    ]
    accuracies = re.findall(r"accuracy ([\d.]+)", said)
    assert [float(x) for x in accuracies] == pytest.approx(found.values, abs=0.01)
    # Classes have embeddings of their own: one is told from the others.
    assert min(found.values) > 0.7
    w, classes = styled.samples(1000)
    along = w @ found.vectors[1]
    assert along[classes == 4].mean() > along[classes != 4].mean()


def test_directions_of_what_a_network_sees(styled, workdir, tmp_path, monkeypatch):
    def bright(_, images):
        mean = images.mean((1, 2, 3))[:, None]
        return {"features": mean, "logits": mean - 127.5}

    network = Extractor("bright", bright, {}, {})
    monkeypatch.setattr(extractors, "find", lambda name, **_: lambda: network)
    out = str(tmp_path / "x.npz")
    directions.run(workdir, out=out, method="labels", n=400, extractor="mine.bright")
    found = directions.load(out, styled)
    assert found.names == ("logit 0",) and found.values[0] > 0.7
    # Along it images become brighter, and darker to the other side.
    ws = styled.ws(0, 20)
    steps = 2 * found.deviations * np.array([-1, 0, 1])
    moved = [edit.along(x, found.vectors[0], steps, found.layers) for x in ws]
    means = styled.images(np.concatenate(moved)).mean((1, 2, 3)).reshape(20, 3).mean(0)
    assert means[0] < means[1] < means[2]


@pytest.mark.parametrize(
    "flags, error",
    [
        ({"out": "x.txt"}, "--out=x.txt: wanted a file that ends in .npz"),
        ({"method": "pca"}, "--method: 'pca' is not one of labels, sefa"),
        ({"n": 0}, "--n=0: wanted at least 1"),
        ({"label": "cat"}, "--class=cat is for --method=labels"),
        ({"extractor": "random"}, "--extractor=random is for --method=labels"),
        ({"layers": "9"}, "--layers=9: this generator has the layers 0 to 2"),
        (
            {"method": "labels", "extractor": "random"},
            "--extractor=random gives no logits",
        ),
        ({"method": "labels", "label": "cat"}, "class 'cat': the classes are"),
    ],
)
def test_what_is_no_direction(workdir, tmp_path, flags, error):
    with pytest.raises(ValueError, match=error):
        directions.run(workdir, **{"out": str(tmp_path / "x.npz"), **flags})


@pytest.mark.parametrize(
    "flags, error",
    [
        ({"frames": 4}, "--frames=4: wanted an odd number, 3 to 31"),
        ({"amount": -1.0}, "--amount=-1: wanted a positive number"),
        ({"out": "x.gif"}, "wanted a file that ends in .html or .png"),
        ({}, "missing.npz: there is no such file"),
    ],
)
def test_what_is_no_edit(workdir, tmp_path, flags, error):
    given = {"out": str(tmp_path / "x.png"), "directions": "missing.npz"}
    with pytest.raises((ValueError, OSError), match=error):
        edit.run(workdir, **{**given, **flags})


def picture_of(styled, path, seed, size=(16, 16)):
    image = shown(styled, styled.ws(seed, 1))[0]
    Image.fromarray(image).resize(size, Image.Resampling.NEAREST).save(path)


def test_project(styled, workdir, tmp_path, capsys):
    photos, out = tmp_path / "photos", tmp_path / "out"
    (photos / "sub").mkdir(parents=True)
    picture_of(styled, photos / "a.png", 1)
    picture_of(styled, photos / "sub" / "b.png", 2, (48, 32))
    (photos / "broken.png").write_text("x")
    given = {"input": str(photos), "out": str(out), "steps": 60, "distance": "l2"}
    count = project.run(workdir, **given)
    assert (count.made, count.kept, count.failed) == (2, 0, 1)
    said = capsys.readouterr().err
    assert "cannot project" in said and "not a picture of a known format" in said
    assert "sub/b.png: it is 48x32; its centre square resized to 16x16" in said
    before, after = np.mean(count.distances, axis=0)
    assert after < 0.5 * before
    pattern = r"2 projected, 1 failed, mean l2 [\d.]+ before, [\d.e-]+ after"
    assert re.fullmatch(pattern, str(count))
    with np.load(out / "a.npz") as arrays:
        assert arrays["ws"].shape == (3, 6) and np.ptp(arrays["ws"], 0).max() == 0
        assert (arrays["before"], arrays["after"]) == pytest.approx(count.distances[0])
    point = points.load(out / "a.npz", styled)
    image = styled.images(point.ws[None], point.noise)[0]
    strip = tiles(out / "a.png", 7, tile=128)[0]
    assert_same(strip[0], np.asarray(Image.open(photos / "a.png")))
    assert_same(strip[6], encode(image)[..., 0])
    # The same call keeps what is there; a picture that is missing is made again.
    (out / "sub" / "b.npz").unlink()
    again = project.run(workdir, **given)
    assert (again.made, again.kept, again.failed) == (1, 1, 1)
    assert again.distances[0] == pytest.approx(count.distances[0])
    with pytest.raises(FileExistsError, match="made with space w, not w\\+"):
        project.run(workdir, **{**given, "into": "w+"})
    other = project.run(workdir, **{**given, "into": "w+", "overwrite": True})
    assert other.made == 2
    with np.load(out / "a.npz") as arrays:
        assert np.ptp(arrays["ws"], 0).max() > 0.01


@pytest.mark.parametrize(
    "flags, error",
    [
        ({"into": "z"}, "--into: 'z' is not one of w, w\\+"),
        ({"steps": 0}, "--steps=0 must be a number of at least 1"),
        (
            {"distance": "l1"},
            "--distance: 'l1' is not one of l2, lpips_alex, .*or MODULE.NAME",
        ),
        ({"distance": "lpips_alex"}, "sees nothing of 16x16 pixels; at least 31"),
        ({"input": "no"}, "--input=no: there is no such file or folder"),
        ({"out": "x.npz"}, "--out=x.npz: wanted a folder"),
        ({"label": "cat"}, "class 'cat': the classes are"),
    ],
)
def test_what_cannot_be_projected(styled, workdir, tmp_path, flags, error):
    picture_of(styled, tmp_path / "a.png", 1)
    given = {"input": str(tmp_path / "a.png"), "out": str(tmp_path / "out")}
    given |= {"distance": "l2", **flags}
    with pytest.raises((ValueError, OSError), match=error):
        project.run(workdir, **given)
