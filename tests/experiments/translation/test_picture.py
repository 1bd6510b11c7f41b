"""Files of pictures: what they keep of the picture that they were made of."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from experiments.translation import picture
from experiments.translation.picture import grey, made_of, read, record_of

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)


def content(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def floats(pixels):
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    return (pixels / 127.5 - 1).astype(np.float32)


def save(path, x, like, record):
    picture.save(path, made_of(like, x), record)


def test_colours(tmp_path):
    found = read(content(Image.fromarray(COLOURS)), 3)
    np.testing.assert_array_equal(found.pixels, COLOURS)
    assert found.alpha is None and not found.grey
    record = {"seed": 3, "input": "ü/a.png"}
    for ending in ("png", "webp"):
        path = tmp_path / f"x.{ending}"
        save(path, floats(COLOURS), found, record)
        np.testing.assert_array_equal(Image.open(path), COLOURS)
        assert record_of(path) == record
    path = tmp_path / "x.jpg"
    save(path, floats(COLOURS), found, record)
    with Image.open(path) as image:
        assert image.format == "JPEG" and image.size == (9, 6)
    assert record_of(path) == record
    assert sorted(os.listdir(tmp_path)) == ["x.jpg", "x.png", "x.webp"]


def test_orientation():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    found = read(content(Image.fromarray(COLOURS), exif=exif), 3)
    np.testing.assert_array_equal(found.pixels, np.rot90(COLOURS, -1))


def test_transparency(tmp_path):
    alpha = np.arange(54, dtype=np.uint8).reshape(6, 9) * 4
    image = Image.fromarray(np.dstack([COLOURS, alpha]))
    found = read(content(image), 3)
    np.testing.assert_array_equal(found.alpha, alpha)
    assert (found.pixels[alpha == 0] == 255).all()  # white
    save(tmp_path / "x.png", floats(COLOURS), found, {})
    np.testing.assert_array_equal(Image.open(tmp_path / "x.png"), image)
    save(tmp_path / "g.png", floats(COLOURS[..., :1]), found, {})
    with Image.open(tmp_path / "g.png") as made:
        assert made.mode == "LA"
        np.testing.assert_array_equal(np.asarray(made)[..., 1], alpha)
    save(tmp_path / "x.jpg", floats(COLOURS), found, {})
    with Image.open(tmp_path / "x.jpg") as made:
        assert made.mode == "RGB"


def test_transparency_of_a_palette():
    image = Image.fromarray(COLOURS).quantize(8)
    found = read(content(image, transparency=0), 3)
    np.testing.assert_array_equal(found.alpha == 0, np.asarray(image) == 0)
    assert not found.grey


def test_grey(tmp_path):
    found = read(content(Image.fromarray(COLOURS[..., 0])), 3)
    assert found.grey and not found.deep
    np.testing.assert_array_equal(found.pixels, COLOURS[..., :1].repeat(3, -1))
    luma = np.asarray(Image.fromarray(COLOURS).convert("L"))[..., None]
    np.testing.assert_allclose(grey(COLOURS.astype(np.float32)), luma, atol=1)
    x = floats(luma)
    assert grey(x) is x
    save(tmp_path / "x.png", x, found, {})
    with Image.open(tmp_path / "x.png") as made:
        assert made.mode == "L"


def test_sixteen_bits(tmp_path):
    wide = np.arange(54, dtype=np.uint16).reshape(6, 9) * 1236
    found = read(content(Image.fromarray(wide)), 1)
    assert found.deep and found.grey
    np.testing.assert_allclose(found.pixels[..., 0], wide / 257, atol=0.51)
    x = (wide / 32767.5 - 1)[..., None].astype(np.float32)
    save(tmp_path / "x.png", x, found, {})
    with Image.open(tmp_path / "x.png") as made:
        assert made.mode.startswith("I;16")
        np.testing.assert_array_equal(made, wide)
    save(tmp_path / "x.jpg", x, found, {})
    save(tmp_path / "c.png", x.repeat(3, -1), found, {})
    for name, mode in (("x.jpg", "L"), ("c.png", "RGB")):
        with Image.open(tmp_path / name) as made:
            assert made.mode == mode


def test_twelve_bits(tmp_path):
    levels = (0, 4095)
    narrow = np.arange(54, dtype=np.uint16).reshape(6, 9) * 77
    found = read(content(Image.fromarray(narrow)), 1, levels=levels)
    np.testing.assert_allclose(found.pixels[..., 0], narrow / 4095 * 255, atol=0.51)
    x = (narrow / 4095 * 2 - 1)[..., None].astype(np.float32)
    save(tmp_path / "x.png", x, found, {})
    np.testing.assert_array_equal(Image.open(tmp_path / "x.png"), narrow)


def test_a_profile_goes_with_the_kind_of_colours(tmp_path):
    profile = b"not looked into"
    found = read(content(Image.fromarray(COLOURS), icc_profile=profile), 3)
    save(tmp_path / "x.png", floats(COLOURS), found, {})
    save(tmp_path / "g.png", floats(COLOURS[..., 0]), found, {})
    assert Image.open(tmp_path / "x.png").info["icc_profile"] == profile
    assert "icc_profile" not in Image.open(tmp_path / "g.png").info
    # Of print's four colours, which become RGB.
    four = Image.fromarray(COLOURS).convert("CMYK")
    assert read(content(four, "TIFF", icc_profile=profile), 3).profile is None


@pytest.mark.parametrize("channels", [2, 4])
def test_opacity_as_a_channel(channels):
    alpha = np.where(np.arange(54).reshape(6, 9) < 20, 0, 255).astype(np.uint8)
    image = Image.fromarray(np.dstack([COLOURS, alpha]))
    found = read(content(image), channels)
    assert found.pixels.shape == (6, 9, channels) and found.alpha is None
    np.testing.assert_array_equal(found.pixels[..., -1], alpha)
    if channels == 4:  # as they are, not on white
        np.testing.assert_array_equal(found.pixels[..., :3], COLOURS)
    # The same by a mask, which is white where there is nothing.
    mask = content(Image.fromarray(255 - alpha).resize((18, 12), Image.NEAREST))
    opaque = content(Image.fromarray(COLOURS))
    masked = read(opaque, channels, mask)
    np.testing.assert_array_equal(masked.pixels[..., -1], alpha)
    with pytest.raises(ValueError, match="no transparent pixels"):
        read(opaque, channels)


def test_what_cannot_be_read():
    good = content(Image.fromarray(COLOURS))
    for bad in (b"", b"text", good[:60], good[:-30]):
        with pytest.raises(ValueError, match="."):
            read(bad, 3)


def test_files_of_others(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "x.png")
    (tmp_path / "x.txt").write_text("x")
    (tmp_path / "broken.png").write_bytes(content(Image.fromarray(COLOURS))[:50])
    for path in tmp_path.iterdir():
        assert record_of(path) is None
