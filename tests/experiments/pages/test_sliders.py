"""The page of sliders: well formed, whole in itself, with every frame."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from experiments.pages import sliders

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 8, 8, 1), np.uint8)
AMOUNTS = np.linspace(-3, 3, 5)


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "x.html"
    names = ["smile <1>", "age", "factor 3"]
    sliders.write(path, "a & b", ["seed 0", "me"], names, AMOUNTS, FRAMES)
    return path


def content(text):
    return json.loads(re.search(r"const content = (.*);", text)[1])


def test_all_that_was_drawn_is_in_the_page(page):
    text = page.read_text()
    assert "smile &lt;1&gt;" in text and "a &amp; b" in text and "<1>" not in text
    assert text.count('<input type="range"') == 3 and text.count("<option") == 2
    assert len(re.findall(r'<label for="d\d">', text)) == 3
    assert re.findall(r'min="0" max="4" value="2"', text)
    assert not re.findall(r"(?:src|href)=|https?://|\$[a-z{]", text)
    found = content(text)
    assert found["amounts"] == [-3, -1.5, 0, 1.5, 3]
    assert [len(x) for x in found["sprites"]] == [3, 3]
    url = found["sprites"][1][2]
    packed = base64.b64decode(url.removeprefix("data:image/webp;base64,"))
    with Image.open(io.BytesIO(packed)) as picture:
        assert picture.size == (40, 8)
        pixels = np.asarray(picture.convert("L")).astype(int)
    # Frame 4 of that point and direction, at quality 90.
    far = np.abs(pixels[:, 32:] - FRAMES[1, 2, 4, ..., 0]).mean()
    assert far < 20 < np.abs(pixels[:, 32:] - FRAMES[1, 1, 4, ..., 0]).mean()


def test_large_frames_are_shrunk(tmp_path):
    frames = np.zeros((1, 1, 3, 1024, 512, 3), np.uint8)
    sliders.write(tmp_path / "x.html", "", ["a"], ["b"], np.arange(3), frames)
    url = content((tmp_path / "x.html").read_text())["sprites"][0][0]
    packed = base64.b64decode(url.partition(",")[2])
    assert Image.open(io.BytesIO(packed)).size == (3 * 256, 512)


def test_only_such_a_page_is_replaced(page, tmp_path):
    sliders.check(page)
    sliders.check(tmp_path / "new.html")
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    with pytest.raises(FileExistsError, match="mine.html: this file was not made by"):
        sliders.check(tmp_path / "mine.html")
