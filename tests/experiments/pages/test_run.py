import base64
import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from experiments.pages import run as report

CONFIG = {
    "variant": "wgan_gp",
    "data": "digits",
    "steps": 2000,
    "batch_size": 64,
    "shape": [32, 32, 1],
    "generator": {"optimizer": {"learning_rate": 1e-4}},
}
RUN = {
    "status": "finished",
    "command": "python -m experiments.run --config=configs/wgan_gp.py --workdir='a b'",
    "start": "2024-05-06T07:00:00+00:00",
    "stop": "2024-05-06T08:09:10+00:00",
    "hardware": "cpu (2 cores)",
    "versions": {"jax": "0.10.2"},
    "seconds": 75.4,
    "seconds_to_first_step": 8.25,
    "steps_per_s": 45.12,
    "images_per_s": 2887.7,
    "peak_memory_bytes": 300 * 2**20,
}
VOID = {"meta", "img", "input", "br", "wbr"}


class Page(HTMLParser):
    """A page, of which every tag must be closed in the right order."""

    def __init__(self, path):
        super().__init__()
        self.source = open(path, encoding="utf-8").read()
        self.open, self.tags, self.text = [], [], []
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text.append(data.strip())

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    def panels(self):
        found = re.findall(r'<svg viewBox="0 0 400.*?\n</svg>', self.source, re.DOTALL)
        return [ElementTree.fromstring(svg) for svg in found]

    def all_frames(self):
        return json.loads(re.search(r"const frames = (\[.*\]);", self.source)[1])

    def frames(self):
        return next(iter(self.all_frames()), [])


def make(folder, *, config=CONFIG, run=RUN, records=(), pictures=()):
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    if run is not None:
        (folder / "run.json").write_text(json.dumps(run))
    if records:
        lines = [json.dumps(record) + "\n" for record in records]
        (folder / "metrics.jsonl").write_text("".join(lines))
    for step, pixels in pictures:
        (folder / "samples").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / "samples" / f"step_{step:08d}.png")
    path = report.write(folder)
    assert path == str(folder / "report.html")
    return Page(path)


def flat(value, side=4):
    return np.full((side, side), value, np.uint8)


def pixels(url):
    kind, data = re.fullmatch(r"data:image/(\w+);base64,(.*)", url).groups()
    return kind, np.array(Image.open(io.BytesIO(base64.b64decode(data))))


def test_key_figures_config_and_commands(tmp_path):
    records = [
        {"step": 1000, "d/loss": 1.0, "steps_per_s": 3.0, "seconds": 9.0},
        {"step": 2000, "eval/frechet/fid": 12.345},
    ]
    page = make(tmp_path, records=records)
    assert "wgan_gp on digits" in page.text
    assert "step 2,000 of 2,000 · finished · 2024-05-06 08:09" in page.text
    figures = {
        "Steps": "2,000",
        "Images seen": "128,000",
        "Steps per second": "45.12",
        "Images per second": "2.89k",
        "Time": "1 min 15 s",
        "To the first step": "8.2 s",
        "Peak memory": "300 MiB",
        "Hardware": "cpu (2 cores)",
        "frechet/fid": "12.35",
    }
    shown = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.source)
    assert dict(shown) == figures
    assert "generator.optimizer.learning_rate" in "".join(page.text)
    assert "0.0001" in page.text and "0.10.2" in page.text
    assert RUN["command"] in page.text
    assert f"python -m experiments.sample --workdir={tmp_path} --n=64" in page.text


def test_needs_no_network(tmp_path):
    page = make(tmp_path, records=[{"step": 1, "a/b": 1}], pictures=[(1, flat(0))] * 2)
    assert "http" not in page.source and "@import" not in page.source
    for _, attrs in page.tags:
        assert "href" not in attrs
        assert attrs.get("src", "data:").startswith("data:")


def test_values_are_escaped(tmp_path):
    nasty = "<script>alert('1')</script>&\"$title"
    config = {**CONFIG, "data": nasty, nasty: nasty}
    run = {**RUN, "hardware": nasty, "command": nasty, "status": nasty}
    page = make(tmp_path, config=config, run=run, records=[{"step": 1, nasty: 1.0}])
    assert len(page.all("script")) == 1
    # The hardware among the figures, the curve's name, the command, and in the tables
    # a name, two values of the config and three of the run.
    assert page.text.count(nasty) == 9
    labels = [svg.get("aria-label") for svg in page.panels()]
    assert labels == [f"{nasty} over the steps"]


def test_warnings_are_in_a_box(tmp_path):
    nasty = "warning at step 7: <b>\"$title\" & 'co'"
    said = [{"step": 7, "message": nasty}, {"step": 9, "message": "over at step 9: x"}]
    page = make(tmp_path, run={**RUN, "warnings": said})
    assert "Warnings during training" in page.text
    # There, and not once more in the table of the run.
    assert page.text.count(nasty) == page.text.count("over at step 9: x") == 1
    assert len(page.all("li")) == 2
    assert page.all("b") == []
    for run in (RUN, {**RUN, "warnings": []}):
        assert "Warnings during training" not in make(tmp_path, run=run).text


def test_of_many_warnings_the_last_are_shown(tmp_path):
    said = [{"step": i, "message": f"message {i:03d}"} for i in range(100)]
    page = make(tmp_path, run={**RUN, "warnings": said})
    shown = [text for text in page.text if text.startswith("message")]
    assert shown == [f"message {i:03d}" for i in range(80, 100)]
    assert "80 earlier ones, in run.json" in page.text
    assert len(page.all("li")) == 21


@pytest.mark.parametrize("config, run", [(None, None), ({}, {}), (CONFIG, {})])
def test_an_empty_run(tmp_path, config, run):
    page = make(tmp_path, config=config, run=run)
    assert "No samples have been drawn yet." in page.text
    assert "Nothing has been measured yet." in page.text
    assert page.frames() == []


def test_an_unfinished_run(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(
        '{"step": 100, "d/loss": 1.5, "g/loss": null, "steps_per_s": 20.0, '
        '"images_per_s": 1280.0, "seconds": 30.0}\n{"step": 200, "d/lo'
    )
    page = make(tmp_path, run=None)
    assert "step 100 of 2,000" in page.text
    assert "30.0 s" in page.text and "20" in page.text
    names = [svg.get("aria-label") for svg in page.panels()]
    assert names == ["d/loss over the steps", "steps_per_s over the steps"]
    (dot,) = page.panels()[0].findall(".//circle")  # one point is no line
    assert (dot.get("cx"), dot.get("cy")) == ("335.3", "89.0")
    assert "python -m experiments.run --config=configs/wgan_gp.py" in page.source


def test_no_such_workdir(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such workdir: .*nowhere"):
        report.write(tmp_path / "nowhere")


def test_a_quantity_of_two_players_shares_a_panel(tmp_path):
    record = {"d/gp": 2, "d/loss": 1, "g/loss": 3, "eval/a": 4, "eval/b": 5}
    records = [{"step": i, **record} for i in (1, 2)]
    page = make(tmp_path, records=records)
    labels = [svg.get("aria-label") for svg in page.panels()]
    names = [label.removesuffix(" over the steps") for label in labels]
    assert names == ["eval/a", "eval/b", "d/loss, g/loss", "d/gp"]


def test_a_curve_runs_where_its_numbers_are(tmp_path):
    records = [{"step": 0, "x": 0.0}, {"step": 50, "x": None}, {"step": 100, "x": 1.0}]
    (svg,) = make(tmp_path, records=records).panels()
    # The frame is 400 - 48 - 10 = 342 by 210 - 8 - 24 = 178, of steps 0 to 102 and
    # values -0.06 to 1.06. x(100) = 342 * 100 / 102; y(0) = 178 * 1.06 / 1.12.
    (path,) = svg.findall(".//path")
    assert path.get("d") == "M0.0 168.5 L335.3 9.5"
    labels = [text.text for text in svg.findall("text")]
    values = ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert labels == values + ["0", "20", "40", "60", "80", "100"]
    # The label stands beside its value: 8 + 168.5, and 4 for half of its height.
    assert float(svg.findall("text")[0].get("y")) == pytest.approx(180.5, abs=0.1)


def ys(path):
    return [float(y) for _, y in re.findall(r"([-\d.]+) ([-\d.]+)", path.get("d"))]


def test_many_points_are_smoothed(tmp_path):
    records = [{"step": i, "x": (-1) ** i} for i in range(1, 301)]
    (svg,) = make(tmp_path, records=records).panels()
    raw, smooth = svg.findall(".//path")
    assert raw.get("class") == "raw s0" and smooth.get("class") == "s0"
    # Of 300 points 11 are averaged: five of one sign, six of the other, hence +-1/11;
    # at the ends six to ten, hence at most 1/7. A value of 1 is 178 / 2.24 pixels.
    middle, unit = 89, 178 / 2.24
    assert np.ptp(ys(raw)) == pytest.approx(2 * unit, abs=0.2)
    assert np.abs(np.array(ys(smooth)) - middle).max() <= unit / 7 + 0.1


def test_a_wild_start_does_not_flatten_the_rest(tmp_path):
    records = [{"step": i, "x": 1e9 if i == 1 else i % 10} for i in range(1, 301)]
    (svg,) = make(tmp_path, records=records).panels()
    raw = svg.findall(".//path")[0]
    assert np.ptp(ys(raw)[1:]) > 100


@pytest.mark.parametrize("n", [5, 100])
@pytest.mark.parametrize("value", [0.0, 5.0, -1e-12, 1e30])
def test_a_constant_is_a_level_line(tmp_path, value, n):
    records = [{"step": i, "x": value} for i in range(n)]
    (svg,) = make(tmp_path, records=records).panels()
    for path in svg.findall(".//path"):
        assert ys(path) == [89.0] * n
    assert len(svg.findall("line")) >= 2


def test_many_values_stay_few_points(tmp_path):
    records = [{"step": i, "x": np.sin(i)} for i in range(20_000)]
    page = make(tmp_path, records=records)
    assert len(page.source) < 100_000


def test_frames_are_evenly_chosen(tmp_path):
    page = make(tmp_path, pictures=[(100 * i, flat(i)) for i in range(100)])
    frames = page.frames()
    assert len(frames) == 40
    steps = [frame["step"] for frame in frames]
    assert steps[0] == 0 and steps[-1] == 9900
    assert set(np.diff(steps)) == {200, 300}
    for frame in frames[:-1]:
        kind, image = pixels(frame["src"])
        assert kind == "png" and (image == frame["step"] // 100).all()
    (shown,) = page.all("img")
    assert "src" not in frames[-1]
    assert (pixels(shown["src"])[1] == 99).all()
    assert shown["alt"] == "Samples at step 9900"
    (slider,) = page.all("input")
    assert slider["max"] == slider["value"] == "39"
    assert "step 9,900" in page.text


def test_each_output_has_a_player(tmp_path):
    (tmp_path / "samples").mkdir()
    for name, value in (("", 10), ("_a_to_b", 20), ("_b_to_a", 30)):
        for step in (5, 15):
            path = tmp_path / "samples" / f"step_{step:08d}{name}.png"
            Image.fromarray(flat(value + step)).save(path)
    page = make(tmp_path)
    shown = [pixels(x["src"])[1].max() for x in page.all("img")]
    assert shown == [25, 35, 45]
    first = [pixels(frames[0]["src"])[1].max() for frames in page.all_frames()]
    assert first == [15, 25, 35]
    titles = [x for x in page.text if x in ("a to b", "b to a")]
    assert titles == ["a to b", "b to a"]
    assert len(page.all("input")) == 3


def test_scores_of_an_older_run_continue_under_their_new_names(tmp_path):
    old = [{"step": 1, "d/real": 0.5, "d/fake": 0.25, "d/accuracy_real": 1.0}]
    new = [{"step": 2, "d/score_real": 0.75, "d/score_fake": 0, "d/accuracy_real": 1.0}]
    page, of_today = (
        make(tmp_path, records=old + new),
        make(
            tmp_path,
            records=[
                {
                    k.replace("d/r", "d/score_r").replace("d/f", "d/score_f"): x
                    for k, x in old[0].items()
                },
                *new,
            ],
        ),
    )
    assert page.source == of_today.source and "d/score_real" in page.source
    # Negative control: another value is another page.
    new[0]["d/score_real"] = 0.5
    assert make(tmp_path, records=old + new).source != page.source


def test_other_pictures_are_not_shown(tmp_path):
    (tmp_path / "samples").mkdir()
    for name in ("step_by_step.png", "step_last.png", "step_00000007.png.tmp"):
        Image.fromarray(flat(3)).save(tmp_path / "samples" / name, format="PNG")
    page = make(tmp_path, pictures=[(7, flat(9))])
    assert [pixels(x["src"])[1].max() for x in page.all("img")] == [9]


def test_an_animation_is_shown_below(tmp_path):
    (tmp_path / "samples").mkdir()
    frames = [Image.fromarray(flat(x)).convert("RGB") for x in (0, 200)]
    path = tmp_path / "samples" / "step_00000007.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    page = make(tmp_path, pictures=[(7, flat(9))])
    still, moving = page.all("img")
    assert still["src"].startswith("data:image/png")
    assert moving["src"].startswith("data:image/webp") and moving["class"] == "moving"
    # Those of earlier steps are not.
    page = make(tmp_path, pictures=[(8, flat(9))])
    assert len(page.all("img")) == 1


@pytest.mark.parametrize(
    "spec, what",
    [
        ({"point": "point"}, "Points"),
        ({"clip": "video", "label": "label"}, "Clips"),
        ({"a": "image", "b": "image"}, "Images"),
        ({"image": "image", "text": "tokens"}, "Examples"),
        ({"chair": "voxels"}, "Voxels"),
        ({"sound": "smells"}, "Examples"),
    ],
)
def test_examples_are_called_by_their_kind(tmp_path, spec, what):
    spec = {name: {"kind": kind} for name, kind in spec.items()}
    config, records = {**CONFIG, "spec": spec}, [{"step": 3}]
    page = make(tmp_path, config=config, run={}, records=records)
    assert f"<dt>{what} seen</dt><dd>192</dd>" in page.source
    # The run's own count is right where its stages had batches of several sizes.
    page = make(tmp_path, config=config, run={"examples": 77}, records=records)
    assert f"<dt>{what} seen</dt><dd>77</dd>" in page.source


def test_one_picture_needs_no_player(tmp_path):
    page = make(tmp_path, pictures=[(500, flat(7))])
    assert page.all("input") == [] and "step 500" in page.text


def test_large_pictures_are_made_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "_FRAMES_BYTES", 60_000)
    monkeypatch.setattr(report, "_LAST_BYTES", 60_000)
    noise = np.random.default_rng(0).integers(0, 256, (3, 600, 600), np.uint8)
    page = make(tmp_path, pictures=[(i, noise[i]) for i in range(3)])
    size = sum(p.stat().st_size for p in tmp_path.glob("samples/*"))
    assert size > 1_000_000
    kind, image = pixels(page.frames()[0]["src"])
    assert kind == "webp" and image.shape == (384, 384, 3)
    assert len(page.source) < 500_000


def test_command(tmp_path):
    make(tmp_path)
    os.remove(tmp_path / "report.html")
    command = [sys.executable, "-m", "experiments.report", f"--workdir={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "report.html")
    Page(tmp_path / "report.html")
