import base64
import datetime
import html
import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from experiments.pages import run as report
from experiments.pages import samples

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
        """The titles of the curves."""
        names = [attrs["aria-label"] for attrs in self.all("svg")]
        return [name.removesuffix(" over the training steps") for name in names]

    def all_frames(self):
        return json.loads(re.search(r"const frames = (\[.*\]);", self.source)[1])

    def frames(self):
        return next(iter(self.all_frames()), [])


def make(folder, *, config=CONFIG, run=RUN, records=(), pictures=(), evaluations=()):
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    if run is not None:
        (folder / "run.json").write_text(json.dumps(run))
    if records:
        lines = [json.dumps(record) + "\n" for record in records]
        (folder / "metrics.jsonl").write_text("".join(lines))
    if evaluations:
        lines = [json.dumps(evaluation) + "\n" for evaluation in evaluations]
        (folder / "evaluations.jsonl").write_text("".join(lines))
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
    }
    shown = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.source)
    assert dict(shown) == figures
    assert "frechet/fid" in page.text and "12.35 at 2,000" in page.text
    assert "generator.optimizer.learning_rate" in "".join(page.text)
    assert "0.0001" in page.text and "0.10.2" in page.text
    assert RUN["command"] in page.text
    assert f"python -m experiments.sample --workdir={tmp_path} --n=64" in page.text


def test_a_running_run_is_shown_as_of_its_last_line(tmp_path):
    make(tmp_path, run={**RUN, "status": "running"}, records=[{"step": 100, "a": 1.0}])
    then = datetime.datetime(2031, 2, 3, 4, 5, 6).timestamp()
    os.utime(tmp_path / "metrics.jsonl", (then, then))
    page = make(tmp_path, run={**RUN, "status": "running"})
    shown = "step 100 of 2,000 · running · 2031-02-03 04:05: reload for what is new"
    assert shown in page.text


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
    # The hardware among the figures, the command, and in the tables a name, two values
    # of the config and three of the run.
    assert page.text.count(nasty) == 8
    assert page.panels() == [f"{nasty.rpartition('/')[2]}: {nasty}"]


def test_warnings_are_in_a_box(tmp_path):
    nasty = "warning at step 7: <b>\"$title\" & 'co'"
    said = [{"step": 7, "message": nasty}, {"step": 9, "message": "over at step 9: x"}]
    page = make(tmp_path, run={**RUN, "warnings": said})
    assert "Warnings during training" in page.text
    # There, and not once more in the table of the run.
    assert page.text.count(nasty) == page.text.count("over at step 9: x") == 1
    assert page.source.count("<li>warning") == page.source.count("<li>over") == 1
    assert page.all("b") == []
    for run in (RUN, {**RUN, "warnings": []}):
        assert "Warnings during training" not in make(tmp_path, run=run).text


def test_of_many_warnings_the_last_are_shown(tmp_path):
    said = [{"step": i, "message": f"message {i:03d}"} for i in range(100)]
    page = make(tmp_path, run={**RUN, "warnings": said})
    shown = [text for text in page.text if text.startswith("message")]
    assert shown == [f"message {i:03d}" for i in range(80, 100)]
    assert "80 earlier ones, in run.json" in page.text


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
    titles = [x for x in page.text if x.startswith("Samples: ")]
    assert titles == ["Samples: a to b", "Samples: b to a"]
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
    assert page.source == of_today.source
    assert "Scores of the discriminator: real, generated" in page.panels()
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
    translates = "b" in spec
    spec = {name: {"kind": kind} for name, kind in spec.items()}
    config, records = {**CONFIG, "spec": spec}, [{"step": 3}]
    page = make(tmp_path, config=config, run={}, records=records)
    command = f"python -m experiments.translate --workdir={tmp_path} "
    assert (command + "--input=FOLDER --out=FOLDER" in page.text) == translates
    assert f"<dt>{what} seen</dt><dd>192</dd>" in page.source
    # The run's own count is right where its stages had batches of several sizes.
    page = make(tmp_path, config=config, run={"examples": 77}, records=records)
    assert f"<dt>{what} seen</dt><dd>77</dd>" in page.source


def test_the_command_of_a_model_that_enlarges(tmp_path):
    shapes = {"a": (24, 24, 3), "b": (96, 96, 3)}
    spec = {name: {"kind": "image", "shape": x} for name, x in shapes.items()}
    config, records = {**CONFIG, "spec": spec}, [{"step": 3}]
    page = make(tmp_path, config=config, run={}, records=records)
    command = f"python -m experiments.upscale --workdir={tmp_path} "
    assert command + "--input=FOLDER --out=FOLDER" in page.text
    assert "experiments.translate" not in page.source


def test_one_picture_needs_no_player(tmp_path):
    page = make(tmp_path, pictures=[(500, flat(7))])
    assert page.all("input") == [] and "step 500" in page.text


def test_large_pictures_are_made_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "_FRAME_BYTES", 20_000)
    monkeypatch.setattr(samples, "_LAST_BYTES", 60_000)
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


WRONG = {
    "d/accuracy_real": 0.99,
    "d/accuracy_fake": 0.99,
    "d/diversity": 0.06,
    "d/loss": 0.01,
    "g/loss": 9.0,
}


def test_the_verdict_is_at_the_top_in_its_colour(tmp_path):
    records = [{"step": i, **WRONG} for i in range(50, 801, 50)]
    page = make(tmp_path, records=records)
    said = "Collapsed: the samples' diversity is 0.06 of the data's"
    assert said in page.text
    (box,) = [x for x in page.all("section") if "verdict" in x.get("class", "")]
    assert "bad" in box["class"]
    assert page.source.index(html.escape(said)) < page.source.index("Samples")
    # Negative control: a run in which nothing is wrong is calm.
    fine = {"d/accuracy_real": 0.7, "d/accuracy_fake": 0.7, "d/diversity": 0.9}
    page = make(
        tmp_path, records=[{"step": i, **WRONG, **fine} for i in range(0, 2000, 50)]
    )
    (box,) = [x for x in page.all("section") if "verdict" in x.get("class", "")]
    assert "neutral" in box["class"]


def test_every_curve_has_a_sentence_and_diagnostics_are_folded(tmp_path):
    names = [*WRONG, "d/grad_norm", "d/sign", "d/mine", "sigma/d/conv0", "sigma/g/out"]
    records = [{"step": i, **dict.fromkeys(names, 0.5)} for i in range(100, 2000, 100)]
    page = make(tmp_path, records=records)
    figures = re.findall(r"<figure class=\"card\">.*?</figure>", page.source, re.DOTALL)
    assert len(figures) == len(page.panels()) == 8
    for figure in figures:
        assert re.search(r"<h3>.+?</h3><p class=\"quiet\">.{20,}?</p>", figure)
        assert "training step</text>" in figure
    before, details, after = page.source.partition("<details>")
    assert details and "Losses" in before and "Diversity" in before
    for name in ("Gradients", "Singular values", "mine"):
        assert name in after and name not in before


def test_the_page_is_the_same_each_time_and_small(tmp_path):
    records = [
        {"step": i, **{n: np.sin(i * k) for k, n in enumerate(WRONG)}}
        for i in range(20_000)
    ]
    page = make(tmp_path, records=records)
    assert len(page.source) < 400_000
    assert make(tmp_path).source == page.source


def test_ids_are_used_where_they_are_defined(tmp_path):
    """Clip paths and markers of several drawings in one page do not get mixed up."""
    records = [{"step": i, **WRONG} for i in range(10)]
    page = make(tmp_path, records=records)
    ids = re.findall(r' id="([^"]+)"', page.source)
    used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', page.source)
    assert used and {a or b for a, b in used} <= {*ids}
    named = re.findall(r'<(\w+)[^>]* id="([^"]+)"', page.source)
    same = {}
    for match in re.finditer(
        r'<clipPath id="([^"]+)">(.*?)</clipPath>', page.source, re.S
    ):
        same.setdefault(match[1], set()).add(match[2])
    assert named and all(len(x) == 1 for x in same.values())


def test_real_examples_stand_beside_the_samples(tmp_path):
    page = make(tmp_path, pictures=[(7, flat(9))])
    assert "Real examples" not in page.text
    Image.fromarray(flat(200)).save(tmp_path / "samples" / "real.png")
    page = make(tmp_path)
    assert [pixels(x["src"])[1].max() for x in page.all("img")] == [9, 200]
    assert "Real examples" in page.text
    assert len(page.frames()) == 1  # they are no step of the player


def memorised(step, share, picture, by="x"):
    return {
        "step": step,
        "results": {
            f"memorisation_distance_{by}": {"value": 3.0, "picture": picture},
            f"memorisation_share_{by}": {"value": share, "better": "lower"},
        },
    }


def test_pictures_of_memorisation_have_a_caption_and_a_verdict(tmp_path):
    Image.fromarray(flat(50)).save(tmp_path / "memorisation_00000007_x.png")
    evaluation = memorised(7, 0.64, "elsewhere/memorisation_00000007_x.png")
    page = make(tmp_path, evaluations=[evaluation])
    caption = " ".join(page.text)
    assert "64.0% of the samples" in caption and "more than by chance" in caption
    assert "under each, that training image" in caption and "of x," in caption
    evaluation = memorised(7, 0.011, "elsewhere/memorisation_00000007_x.png")
    page = make(tmp_path, evaluations=[evaluation])
    assert "about what new images give" in " ".join(page.text)
    # Without its picture there is nothing to be seen.
    other = memorised(7, 0.64, "memorisation_00000008_x.png")
    page = make(tmp_path, evaluations=[other])
    assert "Does it repeat training images?" not in page.text


def test_pictures_of_memorisation_are_those_of_their_extractor(tmp_path):
    for name, value in (("7_x", 50), ("7_y", 90)):
        path = tmp_path / f"memorisation_0000000{name}.png"
        Image.fromarray(flat(value)).save(path)
    both = [
        memorised(7, 0.64, "memorisation_00000007_x.png"),
        memorised(7, 0.01, "memorisation_00000007_y.png", by="y"),
    ]
    page = make(tmp_path, evaluations=both)
    assert [pixels(x["src"])[1].max() for x in page.all("img")] == [50, 90]
    caption = " ".join(page.text)
    assert caption.index("64.0%") < caption.index("of x,") < caption.index("1.0%")
    # An older picture has the caption of whoever has drawn it last.
    Image.fromarray(flat(20)).save(tmp_path / "memorisation_00000009.png")
    over = [
        memorised(9, 0.5, "memorisation_00000009.png"),
        memorised(9, 0.02, "memorisation_00000009.png", by="y"),
    ]
    caption = " ".join(make(tmp_path, evaluations=over).text)
    assert "2.0%" in caption and "50.0%" not in caption


def test_a_page_that_cannot_be_written_ends_no_training(tmp_path, monkeypatch):
    make(tmp_path, records=[{"step": i, **WRONG} for i in range(50, 801, 50)])
    said = report.report(tmp_path)
    assert said.startswith("Collapsed: the samples' diversity is 0.06 of the data's. ")
    assert said.endswith(f"Report: {tmp_path / 'report.html'}")

    def broken(*args, **kwargs):
        raise KeyError("a bug")

    monkeypatch.setattr(report.curves, "main", broken)
    report.Live(tmp_path).refresh()
    said = report.report(tmp_path)
    assert said.startswith("report.html could not be written: ") and "a bug" in said


def test_a_page_of_a_running_training_is_written_seldom(tmp_path, monkeypatch):
    now, written = [100.0], []

    def write(workdir):
        written.append(now[0])
        now[0] += 1.0  # it takes a second

    monkeypatch.setattr(report.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(report, "report", write)
    live = report.Live(tmp_path)
    for _ in range(100):
        live.refresh()
        now[0] += 1.0
    # At most a twentieth of the time: every 21 seconds.
    assert len(written) == 5 and min(np.diff(written)) >= 21
