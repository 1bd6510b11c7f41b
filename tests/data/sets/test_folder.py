"""Folders with pictures of every kind, and with broken ones."""

import logging

import numpy as np
import pytest
from PIL import Image

from gans.data.sets import folder
from gans.data.source import InMemory, Streamed

RED = (255, 0, 0)


def flat(path, value, mode="RGB", size=(8, 8), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path, **options)


def colours(source):
    """The colour of the centre of every picture: [N, C] int."""
    return [source[i]["image"][2, 2].tolist() for i in range(len(source))]


def test_every_format_and_mode(tmp_path):
    flat(tmp_path / "a.png", RED)
    flat(tmp_path / "b.jpg", RED, size=(24, 9), quality=95)
    flat(tmp_path / "c.JPEG", 90, "L")
    flat(tmp_path / "d.webp", RED, lossless=True)
    flat(tmp_path / "e.bmp", RED, size=(5, 40))
    flat(tmp_path / "f.png", (0, 0, 255, 0), "RGBA")
    flat(tmp_path / "g.png", 200 * 257, "I;16")
    flat(tmp_path / "h.png", (80, 255), "LA")
    flat(tmp_path / "i.png", 1, "1")
    Image.new("RGB", (8, 8), RED).quantize(4).save(tmp_path / "j.png")
    Image.new("RGB", (8, 8), RED).quantize(4).save(tmp_path / "k.bmp")
    flat(tmp_path / "deep" / "down" / "l.png", 7, "L")
    (tmp_path / "notes.txt").write_text("no picture")
    flat(tmp_path / ".hidden" / "x.png", 0, "L")
    flat(tmp_path / "._b.png", 0, "L")
    source = folder.load(str(tmp_path), resolution=4)
    assert isinstance(source, InMemory) and source.shape == (4, 4, 3)
    assert source.n_classes is None and "label" not in source[0]  # some are at the top
    # In the order of the paths: "c.JPEG" < "d.webp" < "deep/..." < "e.bmp".
    red, white = list(RED), [255] * 3
    expected = [red, red, [90] * 3, red, [7] * 3, red, white, [200] * 3, [80] * 3]
    expected += [white, red, red]
    np.testing.assert_allclose(colours(source), expected, atol=2)
    grey = folder.load(str(tmp_path), resolution=4, channels=1)
    assert grey.shape == (4, 4, 1)
    np.testing.assert_allclose(colours(grey)[:3], [[76], [76], [90]], atol=2)


def test_exif_orientation_before_the_crop(tmp_path):
    # Stored lying, black left and white right; orientation 6 turns it clockwise, so
    # black comes to the top.
    image = Image.new("L", (16, 8), 255)
    image.paste(0, (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    turned = folder.load(str(tmp_path), channels=1)
    assert turned.shape == (16, 8, 1)
    assert turned[0]["image"][:7].max() < 50 and turned[0]["image"][9:].min() > 200
    flat(tmp_path / "upright.png", 0, "L", size=(8, 16))  # of the same size, then
    assert len(folder.load(str(tmp_path))) == 2
    (tmp_path / "upright.png").unlink()
    image.save(tmp_path / "a.jpg", quality=95)
    assert folder.load(str(tmp_path), channels=1).shape == (8, 16, 1)


def test_large_jpeg_is_decoded_small_and_looks_the_same(tmp_path):
    ramp = np.linspace(0, 255, 256).astype(np.uint8)
    Image.fromarray(np.tile(ramp, (256, 1))).save(tmp_path / "a.jpg", quality=95)
    got = folder.load(str(tmp_path), resolution=16, channels=1)[0]["image"][..., 0]
    # Columns of 16 pixels: their means are 7.5, 23.5, ...
    np.testing.assert_allclose(got[8], ramp.reshape(16, 16).mean(1), atol=3)


def test_labels_from_first_level_folders(tmp_path):
    flat(tmp_path / "cat" / "1.png", 1, "L")
    flat(tmp_path / "cat" / "kittens" / "2.png", 2, "L")
    flat(tmp_path / "ant" / "3.png", 3, "L")
    flat(tmp_path / "bee" / "4.png", 4, "L")
    source = folder.load(str(tmp_path), channels=1)
    assert source.n_classes == 3 and source.arrays["label"].dtype == np.int32
    pairs = [(int(s["image"][0, 0, 0]), int(s["label"])) for s in source]
    assert pairs == [(3, 0), (4, 1), (1, 2), (2, 2)]  # ant, bee, cat
    flat(tmp_path / "top.png", 5, "L")
    assert folder.load(str(tmp_path)).n_classes is None


def test_streamed_is_the_same_set(tmp_path, monkeypatch):
    for i in range(5):
        flat(tmp_path / "ab"[i % 2] / f"{i}.png", 10 * i, "L")
    held = folder.load(str(tmp_path), resolution=4)
    monkeypatch.setattr(folder, "hold", lambda source: source)
    streamed = folder.load(str(tmp_path), resolution=4)
    assert isinstance(streamed, Streamed) and streamed.n_classes == held.n_classes
    assert streamed.shape == held.shape and len(streamed) == len(held)
    indices = np.array([4, 0, 4, 2])
    for key, x in held.take(indices).items():
        np.testing.assert_array_equal(streamed.take(indices)[key], x)


@pytest.fixture
def partly_broken(tmp_path):
    for i in range(3):
        flat(tmp_path / "good" / f"{i}.png", 50 * i, "L")
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "good" / "cut.jpg")
    whole = (tmp_path / "good" / "cut.jpg").read_bytes()
    (tmp_path / "good" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "good" / "text.png").write_text("no picture")
    return tmp_path


def test_corrupt_file_is_named(partly_broken):
    with pytest.raises(ValueError, match=r"cannot read .*cut\.jpg.*truncated"):
        folder.load(str(partly_broken), resolution=8)
    (partly_broken / "good" / "cut.jpg").unlink()
    for resolution in (8, None):
        with pytest.raises(ValueError, match=r"cannot read .*text\.png"):
            folder.load(str(partly_broken), resolution=resolution)


def test_corrupt_files_are_skipped_with_a_count(partly_broken, caplog):
    with caplog.at_level(logging.WARNING, logger="gans.data.sets.folder"):
        source = folder.load(str(partly_broken), skip_corrupt=True)
    assert [c[0] for c in colours(source)] == [0, 50, 100]
    assert "left out 2 of 5 files" in caplog.text
    assert "cut.jpg" in caplog.text and "text.png" in caplog.text
    for path in (partly_broken / "good").glob("?.png"):
        path.unlink()
    with pytest.raises(ValueError, match="none of 2 files can be read"):
        folder.load(str(partly_broken), resolution=8, skip_corrupt=True)


def test_several_sizes_need_a_resolution(tmp_path):
    flat(tmp_path / "a.png", 0, "L", size=(8, 6))
    flat(tmp_path / "b.png", 0, "L", size=(8, 6))
    assert folder.load(str(tmp_path)).shape == (6, 8, 3)
    flat(tmp_path / "c.png", 0, "L", size=(9, 6))
    with pytest.raises(ValueError, match=r"a.png is 8x6, .*c.png is 9x6.*`resolution`"):
        folder.load(str(tmp_path))
    assert folder.load(str(tmp_path), resolution=5).shape == (5, 5, 3)


def test_nothing_to_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: there is no such folder"):
        folder.load(str(tmp_path / "nowhere"))
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(FileNotFoundError, match=".png, .jpg, .jpeg, .webp, .bmp"):
        folder.load(str(tmp_path))
    flat(tmp_path / "a.png", RED)
    with pytest.raises(ValueError, match="'test', only 'train'"):
        folder.load(str(tmp_path), split="test")
