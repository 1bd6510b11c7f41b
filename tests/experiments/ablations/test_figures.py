import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from experiments.ablations import figures
from experiments.sampling import pictures


def seed(number, *values, status="finished", samples=None):
    curve = [
        {"step": 10 * i, "images": 640 * i, "values": {"eval/fd": v}}
        for i, v in enumerate(values, 1)
    ]
    return {"seed": number, "status": status, "curve": curve, "samples": samples}


def around(*curve):
    """An arm of three seeds about a curve."""
    return {"seeds": [seed(i, *(v + i / 10 for v in curve)) for i in range(3)]}


def results(arms):
    return {"baseline": "base", "metrics": {"eval/fd": "lower"}, "arms": arms}


def test_curves(tmp_path):
    arms = {"base": around(9, 3), "good": around(8, 1), "other": around(9, 2.9)}
    arms["gone"] = {"seeds": [seed(0, status="diverged")]}
    made = results(arms)
    path = tmp_path / "c.png"
    assert figures.curves(path, made, {"eval/fd": {"good": "better"}})
    picture = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).astype(int)

    def drawn(colour):
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        return (abs(picture - wanted).max(axis=1) < 8).sum()

    colours = figures.COLOURS
    assert drawn(colours["better"]) > 100 and drawn(colours[None]) > 100
    assert drawn(colours["worse"]) == 0
    nothing = results({"base": {"seeds": [seed(0)]}})
    assert not figures.curves(tmp_path / "d.png", nothing, {"eval/fd": {}})
    assert not (tmp_path / "d.png").exists()


LONG = "discriminator_penalty_gradient_weight_{}_with_a_long_name"


@pytest.mark.parametrize(
    "names",
    [
        ["base", "r1"],
        ["base", "W" * 40],
        ["base", *(LONG.format(i) for i in range(7))],
        [LONG.format("M" * 20), *(f"arm{i}" for i in range(13))],
    ],
)
def test_no_words_overlap_or_are_cut_off(names, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "_save", lambda figure, path: shown.append(figure))
    made = results({name: around(9, 3) for name in names})
    made["baseline"] = names[0]
    verdicts = {name: "worse" for name in names[1:]}
    assert figures.curves(tmp_path / "c.png", made, {"eval/fd": verdicts})
    figure = shown[0]
    words = [x for x in figure.findobj(Text) if x.get_text() and x.get_visible()]
    texts = [x.get_text() for x in words]
    assert all(any(name[:3] in x for x in texts) for name in names)
    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    boxes = [x.get_window_extent(renderer) for x in words]
    for i, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 + 1, texts[i]
        for j, other in enumerate(boxes[:i]):
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            down = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert min(across, down) <= 2, (texts[i], texts[j])


def test_axes_are_not_set_by_one_wild_arm():
    arms = {f"a{i}": around(2, 1.5, 1) for i in range(20)}
    arms["wild"] = around(2000, 1500, 1000)
    series = figures._series(results(arms), "eval/fd")
    (low, high), log = figures._limits(series)
    assert 0 < low < 1 and 2.2 < high < 5 and not log
    for i in range(10):  # of many, a logarithmic axis shows both
        arms[f"w{i}"] = arms["wild"]
    series = figures._series(results(arms), "eval/fd")
    (low, high), log = figures._limits(series)
    assert log and 0 < low < 1 and high > 1500


def test_bands_and_ends():
    seeds = [seed(0, 1, 2), seed(1, 3, status="diverged"), seed(2, 5, 6)]
    series = figures._series(results({"base": {"seeds": seeds}}), "eval/fd")
    images, low, mean, high, ends = series["base"]
    assert images.tolist() == [640, 1280]
    assert (low.tolist(), mean.tolist(), high.tolist()) == ([1, 2], [3, 4], [5, 6])
    assert ends.tolist() == [[640, 3]]


def test_samples_of_a_grid_are_its_first_rows(tmp_path):
    images = np.linspace(-1, 1, 36)[:, None, None, None] * np.ones((36, 32, 32, 1))
    grid = pictures.grid(images)  # 6 x 6 tiles of 64, lines of 2 between them
    pictures.save_png(tmp_path / "g.png", grid)
    strip = figures._strip(tmp_path / "g.png")
    assert strip.shape == (64, 2 * 394 + 2, 3)
    assert (strip[:, :394, 0] == grid[:64, :, 0]).all()
    assert (strip[:, 396:, 0] == grid[66:130, :, 0]).all()
    # What is no grid, or all grey, is shown as a whole.
    pictures.save_png(tmp_path / "p.png", np.full((640, 640, 3), 128, np.uint8))
    assert figures._strip(tmp_path / "p.png").shape == (300, 300, 3)


def test_samples_take_the_first_seed_that_has_any(tmp_path):
    grid = pictures.grid(np.zeros((36, 8, 8, 1)) + np.linspace(-1, -0.5, 8)[:, None])
    pictures.save_png(tmp_path / "g.png", grid)
    arms = {
        "base": {"seeds": [seed(0, samples="g.png")]},
        "late": {"seeds": [seed(0), seed(1, samples="g.png")]},
        "gone": {"seeds": [seed(0, status="diverged")]},
        "lost": {"seeds": [seed(0, samples="no_such.png")]},
    }
    path = tmp_path / "s.png"
    assert figures.samples(path, results(arms), tmp_path)
    picture = np.asarray(Image.open(path).convert("L"))
    # Tiles of 64: strips of 2 x 394 + 2 pixels; a line of text above each.
    assert picture.shape == (4 * (64 + 24) + 12, 790 + 24)
    rows = picture[:352].reshape(4, 88, -1)[:, 26:, 12:200]
    dark = (rows < 100).mean(axis=(1, 2))
    assert (dark[:2] > 0.9).all() and (dark[2:] == 0).all()
    del arms["base"], arms["late"]
    assert not figures.samples(tmp_path / "n.png", results(arms), tmp_path)
