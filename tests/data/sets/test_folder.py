"""Folders with pictures of every kind, and with broken ones."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from gans import data
from gans.data import reading, tree
from gans.data.sets import NoSplit, OptionWanted, folder
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


def test_a_jpeg_has_the_pixels_that_it_decodes_to(tmp_path):
    # Noise, which decoding at a part of the size blurs in another way than resizing.
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as image:
        image.convert("RGB").save(tmp_path / "b.png")
    for resolution in (16, 64):
        jpeg, png = folder.load(str(tmp_path), resolution=resolution).arrays["image"]
        np.testing.assert_array_equal(jpeg, png)


def test_labels_from_first_level_folders(tmp_path):
    flat(tmp_path / "cat" / "1.png", 1, "L")
    flat(tmp_path / "cat" / "kittens" / "2.png", 2, "L")
    flat(tmp_path / "ant" / "3.png", 3, "L")
    flat(tmp_path / "bee" / "4.png", 4, "L")
    source = folder.load(str(tmp_path), channels=1)
    assert source.n_classes == 3 and source.arrays["label"].dtype == np.int32
    pairs = [(int(s["image"][0, 0, 0]), int(s["label"])) for s in source]
    assert pairs == [(3, 0), (4, 1), (1, 2), (2, 2)]  # ant, bee, cat
    assert source.spec["label"].names == ("ant", "bee", "cat")


def test_classes_are_in_natural_order(tmp_path):
    for i in range(12):
        flat(tmp_path / str(i) / "a.png", i, "L")
    source = folder.load(str(tmp_path), channels=1)
    assert source.spec["label"].names == tuple(str(i) for i in range(12))
    pixels = source.arrays["image"][:, 0, 0, 0]
    np.testing.assert_array_equal(source.arrays["label"], pixels)
    assert data.load(f"stacked:folder:{tmp_path}").spec["label"].names is None  # 1,728


def test_a_picture_beside_the_class_folders_is_said(tmp_path, capsys):
    flat(tmp_path / "cat" / "1.png", 1, "L")
    flat(tmp_path / "dog" / "1.png", 1, "L")
    flat(tmp_path / "cover.png", 5, "L")
    assert folder.load(str(tmp_path)).n_classes is None
    said = "no classes, as 1 of 3 pictures (cover.png) lie beside the folders cat, dog"
    assert said in capsys.readouterr().err


def test_empty_and_nested_classes_are_said(tmp_path, capsys):
    flat(tmp_path / "cat" / "1.png", 1, "L")
    flat(tmp_path / "dog" / "1.png", 1, "L")
    (tmp_path / "emu").mkdir()
    flat(tmp_path / ".cache" / "1.png", 1, "L")
    source = folder.load(str(tmp_path))
    assert source.spec["label"].names == ("cat", "dog") and source.n_classes == 2
    said = capsys.readouterr().err
    assert said == f"folder:{tmp_path}: no class, as it holds no picture: emu\n"
    outer = tmp_path.parent / "outer"
    outer.mkdir()
    tmp_path.rename(outer / "pets")
    assert folder.load(str(outer)).n_classes is None
    said = capsys.readouterr().err
    assert "no classes, as all pictures lie in one folder, pets; the folders in" in said
    assert f"classes of folder:{outer}/pets" in said


def test_classes_can_be_left_alone(tmp_path, capsys):
    for name in ("cat", "dog", "train/cat", "train/dog", "test/emu"):
        top = "splits" if "/" in name else "pets"
        flat(tmp_path / top / name / "1.png", 1, "L")
    assert data.load(f"folder:{tmp_path}/pets").n_classes == 2
    source = data.load(f"folder:{tmp_path}/pets:classes=no")
    assert source.spec.keys() == {"image"} and len(source) == 2
    assert source.name == f"folder:{tmp_path}/pets:classes=no"
    name = f"folder:{tmp_path}/splits:classes=no"
    assert len(data.load(name)) == 2 and len(data.load(name, split="test")) == 1
    assert data.of_path(f"{tmp_path}/pets:classes=no").endswith("pets:classes=no")
    with pytest.raises(ValueError, match="classes='maybe' is not yes or no"):
        data.load(f"folder:{tmp_path}/pets:classes=maybe")
    with pytest.raises(ValueError, match="'clases' is not one of .*mean 'classes'"):
        data.load(f"folder:{tmp_path}/pets:clases=no")
    (tmp_path / "pets").rename(tmp_path / "pets:classes=no")  # a folder called so
    assert data.load(f"folder:{tmp_path}/pets:classes=no").n_classes == 2
    assert capsys.readouterr().err == (
        f"folder:{tmp_path}/splits:classes=no: train/ is the split train, test/ is the "
        "split test\n"
    )


def test_twelve_bits_in_sixteen_are_refused(tmp_path):
    for i in range(3):
        flat(tmp_path / f"{i}.png", 2040 + i, "I;16")
    with pytest.raises(
        ValueError, match="up to 2042 only are nearly black; say .*4095"
    ):
        folder.load(str(tmp_path))
    # 2040 of 4095 is 127.03 of 255; of 65535 it is 7.9.
    assert colours(folder.load(f"{tmp_path}:range=0..4095", channels=1))[0] == [127]
    assert colours(folder.load(f"{tmp_path}:range=0..65535", channels=1))[0] == [8]
    with pytest.raises(ValueError, match=r"pixels \(mode I;16\) are in .*\[0, 1023\]"):
        folder.load(f"{tmp_path}:range=0..1023")
    with pytest.raises(ValueError, match="range='4095' is not of the form LOW..HIGH"):
        folder.load(f"{tmp_path}:range=4095")
    (tmp_path / "broken.png").write_text("no picture")
    with pytest.raises(ValueError, match="up to 2042 only are nearly black"):
        folder.load(str(tmp_path), skip_corrupt=True)
    (tmp_path / "broken.png").unlink()
    flat(tmp_path / "3.png", 60_000, "I;16")  # the others are dark pictures
    assert colours(folder.load(str(tmp_path), channels=1))[0] == [8]


def test_colour_that_becomes_grey_is_said(tmp_path, capsys):
    flat(tmp_path / "a.png", (9, 9, 9))  # grey, whatever its mode
    flat(tmp_path / "b.png", 9, "L")
    folder.load(str(tmp_path), channels=1)
    assert capsys.readouterr().err == ""
    flat(tmp_path / "c.png", RED)
    for _ in range(2):
        folder.load(str(tmp_path), channels=1)
    said = f"folder:{tmp_path}: colour pictures become grey, as channels=1\n"
    assert capsys.readouterr().err == said
    folder.load(str(tmp_path))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("held_out", ["test", "val", "Validation"])
def test_folders_called_like_splits_are_splits(tmp_path, held_out, capsys):
    for i, name in enumerate(("ant", "bee", "cat")):
        flat(tmp_path / "train" / name / "1.png", i, "L")
    flat(tmp_path / held_out / "cat" / "1.png", 2, "L")
    name = f"folder:{tmp_path}"
    train = data.load(name, channels=1)
    assert len(train) == 3 and train.spec["label"].names == ("ant", "bee", "cat")
    said = capsys.readouterr().err
    assert f"train/ is the split train, {held_out}/ is the split test" in said
    test = data.held_out(lambda split: data.load(name, split=split))
    assert test.arrays["label"].tolist() == [2] and test.n_classes == 3
    with pytest.raises(NoSplit, match="no split 'tset', only train, test"):
        data.load(name, split="tset")
    flat(tmp_path / held_out / "emu" / "1.png", 2, "L")
    with pytest.raises(ValueError, match="has the class 'emu', which"):
        data.load(name, split="test")
    # Cars and trains are classes.
    flat(tmp_path / "car" / "1.png", 2, "L")
    assert "car" in data.load(name).spec["label"].names


def test_linked_folders_and_files_are_read_once(tmp_path, capsys):
    flat(tmp_path / "elsewhere" / "1.png", 1, "L")
    flat(tmp_path / "elsewhere" / "2.png", 2, "L")
    root = tmp_path / "pets"
    flat(root / "dog" / "3.png", 3, "L")
    (root / "cat").symlink_to(tmp_path / "elsewhere")  # a linked class
    (root / "dog" / "loop").symlink_to(root)
    (root / "dog" / "self").symlink_to("self")
    (root / "dog" / "again.png").symlink_to(root / "dog" / "3.png")
    flat(tmp_path / "single.png", 4, "L")
    (root / "dog" / "4.png").symlink_to(tmp_path / "single.png")
    (root / "dog" / "gone.png").symlink_to(tmp_path / "gone.png")
    source = folder.load(str(root), channels=1)
    pairs = [(int(s["image"][0, 0, 0]), int(s["label"])) for s in source]
    assert pairs == [(1, 0), (2, 0), (3, 1), (4, 1)]
    assert "4 links (broken, or to what is read already)" in capsys.readouterr().err


def test_every_ending_that_pillow_reads(tmp_path, capsys, monkeypatch):
    kept = "tif TIFF jfif jpe gif ppm tga jp2 webp avif pcx mpo".split()
    kept = [e for e in kept if f".{e.lower()}" in tree.endings()]
    assert len(kept) >= 10
    without_heic = tree.endings() - {*tree.HEIF}
    monkeypatch.setattr(tree, "endings", lambda: without_heic)
    for i, ending in enumerate(kept):
        form = {"jfif": "JPEG", "jpe": "JPEG", "mpo": "JPEG"}.get(ending)
        flat(tmp_path / f"{i:02}.{ending}", RED, format=form)
    for name in ("a.txt", "b.txt", "c.HEIC", "d", "e.h5", "f.mp4"):
        (tmp_path / name).write_text("no picture")
    source = folder.load(str(tmp_path))
    assert len(source) == len(kept)
    np.testing.assert_allclose(colours(source), [RED] * len(kept), atol=2)
    said = capsys.readouterr().err
    assert "not read: 2 .txt, " in said
    heic = "1 .heic (pip install pillow-heif reads them)"
    for part in (heic, "1 .h5", "1 .mp4", "1 without an ending"):
        assert part in said


def test_what_pillow_does_not_know_is_named(tmp_path):
    """Phones and messengers call HEIC .jpg."""
    flat(tmp_path / "a.png", RED)
    for head, said in (b"\0\0\0\x18ftypmif1", "pip install pillow-heif"), (b"x", "."):
        (tmp_path / "b.jpg").write_bytes(head + bytes(99))
        with pytest.raises(OptionWanted, match=r"b.jpg: it is not .* format") as found:
            folder.load(str(tmp_path))
        assert said in str(found.value) and "_io" not in str(found.value)


def test_the_largest_photographs_of_telephones(tmp_path, recwarn):
    """Pillow by itself warns from 90 megapixels on, and refuses twice as many."""
    flat(tmp_path / "a.png", 0, "1")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[16:24] = struct.pack(">II", 16384, 12288)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "a.png").write_bytes(content)
    with reading.opened(str(tmp_path / "a.png")) as image:
        assert image.size == (16384, 12288) and not recwarn


def test_heic(tmp_path):
    pytest.importorskip("pillow_heif", reason="HEIC needs pillow-heif")
    tree.plug_in()
    flat(tmp_path / "a.HEIC", RED, size=(24, 16), format="HEIF", quality=100)
    source = folder.load(str(tmp_path))
    assert source.spec["image"].shape == (16, 24, 3)
    np.testing.assert_allclose(colours(source), [RED], atol=3)


@pytest.mark.parametrize("ending", ["gif", "tif", "webp", "png"])
def test_the_first_of_several_frames_is_read(tmp_path, ending, capsys):
    first, second = (Image.new("RGB", (8, 8), c) for c in (RED, (0, 0, 255)))
    path = tmp_path / f"a.{ending}"
    first.save(path, save_all=True, append_images=[second], lossless=True)
    np.testing.assert_allclose(colours(folder.load(str(tmp_path))), [RED], atol=1)
    assert "several frames the first is read" in capsys.readouterr().err


def test_cmyk_and_orientation_of_every_format(tmp_path):
    flat(tmp_path / "a.jpg", (0, 255, 255, 0), "CMYK", quality=95)
    flat(tmp_path / "b.tif", (0, 255, 255, 0), "CMYK")
    np.testing.assert_allclose(colours(folder.load(str(tmp_path))), [RED] * 2, atol=3)
    image, exif = Image.new("L", (16, 8), 255), Image.Exif()
    image.paste(0, (0, 0, 8, 8))  # black left; orientation 6 brings it to the top
    exif[0x0112] = 6
    for ending in ("tif", "png", "webp", "jpg"):
        (tmp_path / ending).mkdir()
        image.save(tmp_path / ending / f"a.{ending}", exif=exif)
        turned = folder.load(str(tmp_path / ending), channels=1)[0]["image"]
        assert turned.shape == (16, 8, 1), ending
        assert turned[:7].max() < 50 and turned[9:].min() > 200


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


def test_corrupt_files_are_skipped_with_a_count(partly_broken, capsys):
    source = folder.load(str(partly_broken), skip_corrupt=True)
    assert [c[0] for c in colours(source)] == [0, 50, 100]
    said = capsys.readouterr().err
    assert "left out 2 of 5 files" in said
    assert "cut.jpg" in said and "text.png" in said
    for path in (partly_broken / "good").glob("?.png"):
        path.unlink()
    with pytest.raises(ValueError, match="none of 2 files can be read"):
        folder.load(str(partly_broken), resolution=8, skip_corrupt=True)


def test_several_sizes_need_a_resolution(tmp_path):
    flat(tmp_path / "a.png", 0, "L", size=(8, 6))
    flat(tmp_path / "b.png", 0, "L", size=(8, 6))
    assert folder.load(str(tmp_path)).shape == (6, 8, 3)
    flat(tmp_path / "c.png", 0, "L", size=(9, 6))
    with pytest.raises(OptionWanted, match="a.png is 8x6, .*c.png is 9x6") as caught:
        folder.load(str(tmp_path))
    assert caught.value.option == "resolution"
    assert folder.load(str(tmp_path), resolution=5).shape == (5, 5, 3)


def test_nothing_to_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: there is no such folder"):
        folder.load(str(tmp_path / "nowhere"))
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(FileNotFoundError, match="holds no pictures, only 1 .txt; want"):
        folder.load(str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty holds nothing; wanted pict"):
        folder.load(str(tmp_path / "empty"))
    for name, advice in (
        ("notes.txt", "unpack it"),
        ("a.npz", "name it array:.*a.npz"),
    ):
        (tmp_path / name).write_text("no folder")
        with pytest.raises(OSError, match=f"{name} is a file, not a folder: {advice}"):
            folder.load(str(tmp_path / name))
    flat(tmp_path / "a.png", RED)
    with pytest.raises(ValueError, match="'test', only train"):
        folder.load(str(tmp_path), split="test")
    with pytest.raises(OSError, match="name the folder that it lies in"):
        folder.load(str(tmp_path / "a.png"))


def test_home_and_variables_in_paths(tmp_path, monkeypatch):
    flat(tmp_path / "photos" / "a.png", RED)
    np.save(tmp_path / "a.npy", np.zeros((2, 4, 4), np.uint8))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PHOTOS", "photos")
    for name in ("folder:~/photos", "folder:$HOME/${PHOTOS}", "array:~/a.npy"):
        assert data.load(name).name == name
