"""Each kind of data has a picture."""

import itertools
import sys
import types

import numpy as np
import pytest
from PIL import Image

from experiments.sampling import meshes, pictures, real_examples
from experiments.sampling.pictures import tokens, voxels
from gans.data import kinds
from gans.data.source import InMemory
from gans.data.spec import Field

SPEC = {
    "image": Field("image", (16, 16, 3), "uint8"),
    "point": Field("point", (2,), "float32"),
    "clip": Field("video", (20, 16, 16, 1), "uint8"),
    "chair": Field("voxels", (8, 8, 8, 1), "uint8"),
    "signal": Field("series", (50, 2), "float32"),
    "text": Field("tokens", (6,), "int32", 9),
    "label": Field("label", (), "int32", 3),
}
NAMES = [name for name in SPEC if name != "label"]


def examples(name, n=5, seed=0):
    rng, field = np.random.default_rng(seed), SPEC[name]
    if field.kind == "tokens":
        return rng.integers(0, field.n_classes, (n, *field.shape))
    return rng.uniform(-1, 1, (n, *field.shape)).astype(np.float32)


def test_all_kinds_but_labels_are_drawn():
    assert {SPEC[name].kind for name in NAMES} == {*pictures.kinds()}
    assert pictures.count({"clip": SPEC["clip"], "label": SPEC["label"]}) == 8
    with pytest.raises(ValueError, match="'label' is not one of image"):
        pictures.of(SPEC["label"])


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_of_a_kind(name, tmp_path):
    spec = {name: SPEC[name]}
    x = examples(name)
    found = pictures.draw(tmp_path / "a", spec, {"sample": {name: x}})
    assert list(found) == ["samples"]
    path, picture = found["samples"]
    assert path == tmp_path / "a.png"
    assert picture.dtype == np.uint8 and picture.shape[2] in (1, 3)
    read = np.asarray(Image.open(tmp_path / "a.png")).reshape(picture.shape)
    np.testing.assert_array_equal(read, picture)
    # Other examples are another picture; the same ones, with what is not a number
    # among them, can be drawn.
    other = pictures.draw(
        tmp_path / "b", spec, {"sample": {name: examples(name, 5, 1)}}
    )
    assert not np.array_equal(other["samples"].pixels, picture)
    if x.dtype == np.float32:
        x = x.copy()
        x[0] = np.nan
        pictures.draw(tmp_path / "c", spec, {"sample": {name: x}})


@pytest.mark.parametrize("name", [x for x in NAMES if x != "point"])
def test_what_an_output_is_made_of_is_beside_it(name, tmp_path):
    spec = {name: SPEC[name]}
    made, given = {"reconstruct": {name: examples(name)}}, examples(name, 5, 1)
    alone = pictures.draw(tmp_path / "a", spec, made)
    assert list(alone) == ["samples/reconstruct"]
    both = pictures.draw(
        tmp_path / "b", spec, made, given={"reconstruct": {name: given}}
    )
    assert (tmp_path / "b_reconstruct.png").exists()
    a, b = (x["samples/reconstruct"].pixels for x in (alone, both))
    assert both["samples/reconstruct"].path == tmp_path / "b_reconstruct.png"
    assert a.shape != b.shape or not np.array_equal(a, b)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_opacity_of_what_is_given_is_not_shown(tmp_path, channels):
    holed = np.concatenate(
        [np.full((4, 8, 8, channels), 0.5), -np.ones((4, 8, 8, 1))], -1
    )
    spec = {"a": Field("image", (8, 8, channels + 1), "uint8"), "b": SPEC["image"]}
    b = np.zeros((4, 8, 8, 3)) + np.array([-1, 0, 1])
    made = {"sample": {"b": b}}
    found = pictures.draw(tmp_path / "x", spec, made, given={"sample": {"a": holed}})
    picture = found["samples"].pixels
    assert picture.shape[-1] == 3
    assert picture[32, 32].tolist() == [191] * 3
    assert picture[32, 32 + 66].tolist() == [0, 128, 255]
    alone = pictures.draw(tmp_path / "y", spec, {"sample": {"a": holed}})
    assert alone["samples"].pixels.shape[-1] == channels


def test_pairs_are_side_by_side(tmp_path):
    a = np.full((4, 8, 8, 1), -1.0)
    b = np.stack([np.full((16, 16, 3), x / 4) for x in range(4)])
    spec = {"a": Field("image", (8, 8, 1), "uint8"), "b": SPEC["image"]}
    made = {"a_to_b": {"b": b, "score": np.zeros(4)}}
    found = pictures.draw(tmp_path / "x", spec, made, given={"a_to_b": {"a": a}})
    picture = found["samples/a_to_b"].pixels
    # Two rows of two pairs, each with its black input on the left, as large as b.
    tiles = picture[32::66, 32::66, 0]
    levels = kinds.of(SPEC["image"]).encode(np.arange(4) / 4)
    np.testing.assert_array_equal(
        tiles, [[0, levels[0], 0, levels[1]], [0, levels[2], 0, levels[3]]]
    )


def test_several_kinds_are_several_pictures_and_scores_none(tmp_path):
    made = {
        "sample": {"image": examples("image"), "label": np.zeros(5, int)},
        "both": {"clip": examples("clip"), "image": examples("image")},
        "score": {"score": np.zeros(5)},
    }
    found = pictures.draw(tmp_path / "step_00000001", SPEC, made)
    assert list(found) == ["samples", "samples/both", "samples/both/image"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step_00000001.png",
        "step_00000001_both.png",
        "step_00000001_both.webp",
        "step_00000001_both_image.png",
    ]


def test_a_clip_is_a_row_and_moves(tmp_path):
    # Frame t of clip i has the level of t, and clip 1 is black.
    clips = np.linspace(-1, 1, 20)[None, :, None, None, None] * np.ones(
        (2, 1, 32, 32, 1)
    )
    clips[1] = -1
    spec = {"clip": Field("video", (20, 32, 32, 1), "uint8")}
    picture = pictures.draw(tmp_path / "x", spec, {"sample": {"clip": clips}})[
        "samples"
    ].pixels
    tiles = picture[32::66, 32::66, 0].astype(int)
    assert tiles.shape == (2, 12) and (np.diff(tiles[0]) > 0).all()
    assert (tiles[0, 0], tiles[0, -1]) == (0, 255) and not tiles[1].any()
    moving = Image.open(tmp_path / "x.webp")
    assert moving.n_frames == 20


def test_voxels_are_seen_from_the_front_the_right_and_above():
    x = np.full((1, 16, 16, 16, 1), -1.0)
    x[0, 4:12, 4:12, 4:12] = 1  # a cube
    (picture,) = voxels.rendered(x, yaw=0, pitch=0)
    seen = picture.min(-1) < 1
    side = voxels.TILE * 8 / (16 * 2 * 0.66)  # pixels
    for axis in (0, 1):
        assert abs(seen.any(axis).sum() - side) <= 3
    (picture,) = voxels.rendered(x)
    # Three faces, the upper one the lightest: light is from above.
    middle = voxels.TILE // 2
    above, below = picture[middle - 12, middle], picture[middle + 12, middle]
    assert (above > below + 0.1).all() and (below < 0.9).all()
    # What is to the right of the middle goes farther away in a turn to the right.
    x[:] = -1
    x[0, 7:9, 7:9, 12:15] = 1
    shown = [voxels.rendered(x, yaw, 0)[0].min(-1) < 1 for yaw in (0, 90, 180)]
    places = [np.argwhere(one)[:, 1].mean() for one in shown]
    assert places[0] > middle + 10 and places[2] < middle - 10
    assert abs(places[1] - middle) < 3


def test_nothing_is_no_surface():
    for level in (-1, -0.2, np.nan):
        x = np.full((1, 8, 8, 8, 1), level)
        assert (voxels.rendered(x) == 1).all()


def test_a_turntable_turns_once():
    x = np.full((2, 8, 8, 8, 1), -1.0)
    x[:, 2:4, 2:6, 1:7] = 1
    frames = list(itertools.islice(voxels.frames(x), 3))
    assert len({frame.tobytes() for frame in frames}) == 3
    assert frames[0].shape == (voxels.TILE, 2 * voxels.TILE + 2, 3)


@pytest.mark.parametrize("suffix", meshes.SUFFIXES)
def test_meshes_are_upright_and_closed(tmp_path, suffix):
    trimesh = pytest.importorskip("trimesh", reason="extra meshes is not installed")
    x = np.full((2, 8, 8, 8, 1), -1.0)
    x[:, 1:3, 0:6, 4:8] = 1
    path = tmp_path / f"x{suffix}"
    voxels.save(path, x)
    mesh = trimesh.load(path, force="mesh")
    # Half of the voxels beyond the surface: x right, y up, z towards the viewer.
    low, high = mesh.bounds
    np.testing.assert_allclose(low, (0, -0.25, 0.125), atol=1e-6)
    np.testing.assert_allclose(high, (0.5 + 1.2, 0.5, 0.375), atol=1e-6)
    volume = mesh.volume * 512 / 2
    assert mesh.is_watertight and volume == pytest.approx(2 * 6 * 4, rel=0.2)
    with pytest.raises(ValueError, match="nothing is occupied, so there is no surface"):
        voxels.save(path, np.full((1, 8, 8, 8, 1), -1.0))


def test_meshes_need_packages_that_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(ValueError, match=r"pip install jax-gans\[meshes\]"):
        voxels.save(tmp_path / "x.obj", np.ones((1, 8, 8, 8, 1)))


def test_text_has_the_words_of_its_source():
    source = types.SimpleNamespace(vocabulary=["the", "cat", "sat"])
    assert tokens.text(np.array([0, 1, 2]), source) == "the cat sat"
    assert tokens.text(np.array([0, 1, 2])) == "0 1 2"
    letters = types.SimpleNamespace(vocabulary="abc")
    assert tokens.text(np.array([2, 0, 1]), letters) == "cab"


def labelled(n=40):
    """Image i is all of one grey, 6 i, and of class i modulo 3."""
    image = np.zeros((n, 16, 16, 3), np.uint8)
    image[:] = (6 * np.arange(n) % 240)[:, None, None, None]
    label = (np.arange(n) % 3).astype(np.int32)
    spec = {name: SPEC[name] for name in ("image", "label")}
    return InMemory("labelled", {"image": image, "label": label}, spec)


@pytest.mark.parametrize("name", NAMES)
def test_real_examples_have_the_size_of_the_samples(name, tmp_path):
    spec, x = {name: SPEC[name]}, examples(name, 16)
    stored = kinds.of(SPEC[name]).encode(examples(name, 40, 1))
    source = InMemory("real", {name: stored}, spec)
    samples = {"sample": {name: x}}
    drawn = pictures.draw(tmp_path / "a", spec, samples, source=source)
    real_examples.draw(tmp_path / "real", spec, samples, given={}, source=source)
    real = np.asarray(Image.open(tmp_path / "real.png"))
    pixels = drawn["samples"].pixels
    assert real.shape[:2] == pixels.shape[:2]
    assert not np.array_equal(real.reshape(pixels.shape), pixels)


def test_real_examples_are_of_the_classes_of_the_samples(tmp_path):
    source, asked = labelled(), np.array([2, 0, 2, 1, 0, 0, 1, 2, 2])
    made = {"image": examples("image", 9), "label": asked}
    real_examples.draw(
        tmp_path / "real", source.spec, {"sample": made}, given={}, source=source
    )
    picture = np.asarray(Image.open(tmp_path / "real.png"))
    shown = picture[10::66, 10::66, 0].ravel()  # one pixel of each of the 3 x 3 tiles
    assert len({*shown.tolist()}) == 9
    assert (shown // 6 % 3 == asked).all()


def test_real_examples_have_a_column_for_each_class_in_turn(tmp_path):
    source, asked = labelled(), np.arange(9) % 3
    made = {"sample": {"image": examples("image", 9), "label": asked}}
    real_examples.draw(tmp_path / "real", source.spec, made, given={}, source=source)
    picture = np.asarray(Image.open(tmp_path / "real.png"))
    classes = picture[10::66, 10::66, 0] // 6 % 3
    assert (classes == [0, 1, 2]).all()
    # As in the picture of the samples.
    drawn = pictures.draw(tmp_path / "s", source.spec, made, given={}, source=source)
    assert drawn["samples"].pixels.shape == picture.shape


def test_few_real_examples_keep_the_scale(tmp_path):
    source, made = labelled(10), {"image": examples("image", 64)}
    real_examples.draw(
        tmp_path / "real", source.spec, {"sample": made}, given={}, source=source
    )
    picture = np.asarray(Image.open(tmp_path / "real.png"))
    assert picture.shape[:2] == (2 * 66 - 2, 8 * 66 - 2)


def test_real_examples_of_each_output(tmp_path):
    """Those of outputs that are made of examples have as many tiles in a row."""
    spec = {"a": SPEC["image"], "b": SPEC["image"]}
    arrays = {
        name: np.full((20, 16, 16, 3), i, np.uint8) for i, name in enumerate("ab")
    }
    source = InMemory("pairs", arrays, spec)
    made = {"a_to_b": {"b": examples("image", 8)}, "score": {"score": np.zeros(8)}}
    given = {"a_to_b": {"a": examples("image", 8)}}
    drawn = pictures.draw(tmp_path / "s", spec, made, given=given)
    real_examples.draw(tmp_path / "real", spec, made, given=given, source=source)
    assert [x.name for x in tmp_path.glob("real*")] == ["real_a_to_b.png"]
    picture = np.asarray(Image.open(tmp_path / "real_a_to_b.png"))
    assert picture.shape[1] == drawn["samples/a_to_b"].pixels.shape[1]
    assert picture[0, 0, 0] == 1


PAIRS = {"a": SPEC["image"], "b": SPEC["image"]}


def flat(*values):
    return np.ones((12, 16, 16, 3)) * np.reshape(values, (-1, 1, 1, 1))


def columns_of_tiles(pixels):
    """The first value of each tile of the first row, below the captions."""
    return pixels[18 + 30, 30 :: 64 + 2, 0].tolist()


def test_input_output_and_target_stand_side_by_side(tmp_path):
    outputs = {"sample": {"b": flat(0.2)}}
    given, targets = {"sample": {"a": flat(-1)}}, {"sample": {"b": flat(1)}}
    drawn = pictures.draw(tmp_path / "s", PAIRS, outputs, given=given, targets=targets)[
        "samples"
    ]
    assert columns_of_tiles(drawn.pixels) == [0, 153, 255] * 2
    # Twelve of them, two in a row, below a strip of captions.
    assert drawn.pixels.shape == (18 + 6 * 66 - 2, 6 * 66 - 2, 3)
    strip = drawn.pixels[:18]
    assert strip.min() < 100 and (strip[:, :60] < 128).any()
    saved = np.asarray(Image.open(drawn.path))
    np.testing.assert_array_equal(saved, drawn.pixels)
    # Its target is in the picture, so that no other real examples are needed.
    arrays = {name: np.zeros((20, 16, 16, 3), np.uint8) for name in "ab"}
    source = InMemory("pairs", arrays, PAIRS)
    options = {"given": given, "source": source}
    real_examples.draw(tmp_path / "r", PAIRS, outputs, targets=targets, **options)
    assert not [*tmp_path.glob("r*")]


def test_there_and_back_again_is_one_row(tmp_path):
    made_of_a = {"cycle_a": {"a": flat(0.5)}, "a_to_b": {"b": flat(0.2)}}
    outputs = made_of_a | {"b_to_a": {"a": flat(0.2)}, "noise": {"a": flat(0.1)}}
    given = {"a_to_b": {"a": flat(-1)}, "cycle_a": {"a": flat(-1)}}
    given |= {"b_to_a": {"b": flat(-1)}}
    drawn = pictures.draw(tmp_path / "s", PAIRS, outputs, given=given, targets={})
    assert {*drawn} == {"samples/a_to_b", "samples/b_to_a", "samples/noise"}
    found = columns_of_tiles(drawn["samples/a_to_b"].pixels)
    assert found == [0, 153, 191] * 2
    # Without targets, as in an ablation, there are no captions.
    plain = pictures.draw(tmp_path / "p", PAIRS, outputs, given=given)
    pixels = plain["samples/a_to_b"].pixels
    assert len(pixels) == len(drawn["samples/a_to_b"].pixels) - 18


def test_samples_of_classes_in_turn_have_a_column_for_each(tmp_path):
    spec = {
        "image": Field("image", (8, 8, 1), "uint8"),
        "label": Field("label", (), "int32", n_classes=10),
    }
    classes = np.arange(64) % 10
    x = np.broadcast_to((classes / 9)[:, None, None, None], (64, 8, 8, 1))
    made = {"sample": {"image": x, "label": classes.astype(np.int32)}}
    pixels = pictures.draw(tmp_path / "a", spec, made)["samples"].pixels
    tile = 64 + 2
    assert pixels.shape == (6 * tile - 2, 10 * tile - 2, 1), "60: no row is cut short"
    assert (pixels[32, 32::tile] == pixels[32 + tile, 32::tile]).all()
    whole = pictures.draw(tmp_path / "b", spec, made, at_most=None)["samples"].pixels
    assert whole.shape[0] == 7 * tile - 2, "all that were asked for"
    # Of one class, or of too many, a square as before.
    for labels in (np.zeros(64), np.arange(64)):
        made["sample"]["label"] = labels.astype(np.int32)
        pixels = pictures.draw(tmp_path / "c", spec, made)["samples"].pixels
        assert pixels.shape[:2] == (8 * tile - 2, 8 * tile - 2)


KIND = """
import numpy as np
from gans.data.kinds.point import *
from gans.data.kinds.point import AXES, DTYPES, RANGE, MIRRORED, CLASSES

PLURAL, N, GRID, SOURCE = "Charges", 4, False, False

def draw(path, examples, *, name, beside=(), source=None, columns=None):
    path.write_text(f"{len(examples)} of {name}")
    return np.zeros((1, 1, 1), np.uint8)
"""


def test_a_users_kind_is_decoded_and_drawn(tmp_path, monkeypatch):
    (tmp_path / "charges.py").write_text(KIND)
    (tmp_path / "plain.py").write_text(KIND.partition("PLURAL")[0])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    spec = {name: Field(f"{name}", (2,), "float32") for name in ("charges", "plain")}
    assert pictures.drawable("charges") and not pictures.drawable("plain")
    made = {"sample": {name: np.ones((9, 2), np.float32) for name in spec}}
    found = pictures.draw(tmp_path / "a", spec, made)
    assert list(found) == ["samples"]
    assert (tmp_path / "a.png").read_text() == "4 of charges"
    assert pictures.count(spec) == 4


@pytest.mark.parametrize("n_classes, columns", [(2, 8), (3, 9), (10, 10)])
def test_a_grid_of_few_classes_is_about_square(n_classes, columns, tmp_path):
    spec = {
        "image": Field("image", (8, 8, 1), "uint8"),
        "label": Field("label", (), "int32", n_classes=n_classes),
    }
    label = (np.arange(64) % n_classes).astype(np.int32)
    made = {"sample": {"image": np.zeros((64, 8, 8, 1)), "label": label}}
    found = pictures.draw(tmp_path / "x", spec, made)["samples"].pixels
    assert found.shape[1] == columns * 66 - 2
