import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from experiments.ablations import document, findings, report, significance
from experiments.sampling import pictures

FILES = "results.csv report.md report.html curves.png samples.png".split()
VOID = {"meta", "img", "wbr"}
SPREAD = (-0.2, -0.1, 0.0, 0.1, 0.2)


class Page(HTMLParser):
    """A page, of which every tag must be closed in the right order."""

    def __init__(self, path):
        super().__init__()
        self.source = Path(path).read_text(encoding="utf-8")
        self.open, self.tags, self.text = [], [], []
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data.strip())

    def images(self):
        return [attrs["src"] for tag, attrs in self.tags if tag == "img"]


def seed(number, *values, status="finished", metric="eval/fd", **more):
    """A seed whose metric takes these values, one an evaluation; None leaves it out."""
    curve = [
        {
            "step": 10 * i,
            "images": 640 * i,
            "values": {"d/loss": 0.7} | ({} if v is None else {metric: v}),
        }
        for i, v in enumerate(values, 1)
    ]
    return {"seed": number, "status": status, "curve": curve, "samples": None} | more


def arm(*seeds, program=0, **overrides):
    return {
        "overrides": overrides,
        "steps": 20,
        "batch_size": 64,
        "seconds": 5.0,
        "program": program,
        "seeds": list(seeds),
    }


def around(*curve, spread=SPREAD):
    """Five seeds about a curve."""
    return [seed(i, *(v + s for v in curve)) for i, s in enumerate(spread)]


def results(arms, metrics=None, **more):
    return {
        "name": "zoo",
        "preset": "digits",
        "baseline": "base",
        "metrics": metrics or {"eval/fd": "lower"},
        "n_seeds": 5,
        "evaluations": 2,
        "protocol": {"base": {"data": "digits", "discriminator": {"width": 8}}},
        "runs": [{"command": "python -m experiments.ablate", "seconds": 812.3}],
        "arms": arms,
    } | more


def usual():
    return {
        "hinge": arm(*around(9, 3.01, spread=[2 * s for s in SPREAD]), loss="hinge"),
        "good": arm(*around(8, 1), program=1, generator={"width": 16}),
        "base": arm(*around(9, 3)),
        "bad": arm(*around(9, 6), program=1),
    }


def write(folder, arms, **more):
    (folder / "results.json").write_text(json.dumps(results(arms, **more)))
    path = report.write(folder)
    assert path == str(folder / "report.html")
    return (folder / "report.md").read_text(encoding="utf-8"), Page(path)


def find(arms, metric="eval/fd", **more):
    return findings.find(results(arms, **more), metric)


def rows(markdown, head):
    """{first cell: other cells} of the table whose head begins so."""
    lines = markdown.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {head}"))
    table = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        first, *cells = (cell.strip() for cell in line.strip("|").split(" | "))
        table[first] = cells
    return table


# --- findings -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "better, good, bad",
    [("lower", "better", "worse"), ("higher", "worse", "better"), (None, "lower", 0)],
)
def test_verdicts_follow_the_direction(better, good, bad):
    found = find(usual(), metrics={"eval/fd": better})
    bad = bad or "higher"
    assert found.verdicts == {"hinge": None, "good": good, "bad": bad}
    assert bool(found.best) == (better is not None)


def test_numbers_are_of_the_end_and_of_the_best():
    arms = {"base": arm(seed(0, 4, 1, 3), seed(1, 2, 5, 7), seed(2, 9, None))}
    found = find(arms)
    # Ends 3 and 7; the third seed finished without a value. Best 1 and 2.
    assert found.final["base"].mean == 5 and found.best["base"].mean == 1.5
    assert (found.final["base"].n, found.final["base"].n_lost) == (2, 1)
    assert find(arms, metrics={"eval/fd": "higher"}).best["base"].mean == 5.5
    assert findings.mean(found.final["base"]) == "5.0 ± 2.8"
    rounded = significance.summarise([0.1 + 0.2, 0.3, 0.3])
    assert rounded.sd and findings.mean(rounded) == "0.3 ± 0"


def test_lost_seeds():
    lost = [seed(i, 1.0, status="diverged", diverged_by_step=12) for i in (1, 3)]
    arms = usual()
    arms["good"]["seeds"][1::2] = lost
    arms["bad"]["seeds"][2] = seed(2, status="failed", error="OutOfMemory")
    arms["gone"] = arm(*(seed(i, status="diverged") for i in range(5)))
    found = find(arms)
    assert (found.final["good"].n, found.final["good"].n_lost) == (3, 2)
    # Three before the baseline's five, and two behind, which share a rank.
    good, base = [1, 2, 3, 9, 9], [4, 5, 6, 7, 8]
    exact = stats.PermutationMethod(n_resamples=np.inf)
    exact = stats.mannwhitneyu(good, base, method=exact).pvalue
    assert found.compared["good"].rank_p == pytest.approx(exact)
    assert (found.final["bad"].n, found.final["bad"].n_lost) == (4, 0)  # failed
    assert found.compared["gone"].rank_p == pytest.approx(2 / 252)
    assert found.verdicts["gone"] is None and found.compared["gone"].welch_p is None
    table = findings.details(results(arms), found)
    lost = {row[0]: row[table[0].index("lost")] for row in table[1:]}
    assert lost["good"] == "2 diverged" and lost["bad"] == "1 failed"
    assert lost["gone"] == "5 diverged" and lost["base"] == "0"


def test_a_fall_is_flagged_and_noise_is_not():
    fallen = arm(*around(9, 3, 8))
    steady = arm(*around(9, 3, 3.3))
    # A third worse on average, but seeds differ by more.
    wild = arm(*around(9, 3, 4.5, spread=[10 * s for s in SPREAD]))
    found = find({"base": steady, "fallen": fallen, "wild": wild})
    assert found.fallen == ["fallen"]
    up = {"base": arm(*around(1, 9, 9)), "down": arm(*around(1, 9, 5))}
    assert find(up, metrics={"eval/fd": "higher"}).fallen == ["down"]


def test_one_evaluation_has_no_best():
    found = find(usual(), evaluations=1)
    assert found.best == {} and found.fallen == []
    assert found.verdicts["good"] == "better"
    assert "best" not in findings.details(results(usual()), found)[0]
    assert "best" in findings.details(results(usual()), find(usual()))[0]


# --- texts ----------------------------------------------------------------------------


def test_markdown(tmp_path):
    text, _ = write(tmp_path, usual())
    table = rows(text, "arm | n |")
    assert list(table) == [
        "base",
        "hinge",
        "good",
        "bad",
    ]  # the baseline, then as given
    assert table["base"][2] == "3.00 ± 0.16" and table["base"][-1] == "baseline"
    assert table["good"][-1] == "▲ better" and table["bad"][-1] == "▼ worse"
    assert table["hinge"][-1] == ""
    # Means 1 and 3, variances 0.025 / 5 each: 2 / 0.1 = t of 20, 8 degrees of freedom;
    # 2.306 x 0.1 = 0.231.
    assert table["good"][5] == "-2 [-2.23, -1.77]"
    assert table["good"][8] == "0.008 (0.024)"  # 2 / 252, three arms
    changes = rows(text, "arm | changes")
    assert changes["hinge"][0] == "loss = hinge"
    assert changes["good"][0] == "generator.width = 16"
    assert "(baseline)" in changes["base"][0]
    for name in ("curves.png", "samples.png"):
        assert (f"]({name})" in text) == (tmp_path / name).exists()
    closing = text.split("### What differs from the baseline")[1]
    assert closing.split("\n")[2] == (
        "- eval/fd: significantly better: good; significantly worse: bad; "
        "not distinguishable: hinge."
    )
    assert "Holm" in text and "the 3 comparisons" in text
    assert "What is missing" not in text


def test_says_where_ranks_can_show_nothing(tmp_path):
    arms = {f"a{i}": arm(*around(2, 1)) for i in range(6)} | {
        "base": arm(*around(2, 1))
    }
    text, _ = write(tmp_path, arms)
    assert "cannot be below" not in text  # 6 x 2 / 252 = 0.048
    arms["a6"] = arm(*around(2, 1))
    text, _ = write(tmp_path, arms)
    assert "cannot be below 0.056 for any arm" in text


def test_other_metrics_are_one_table(tmp_path):
    arms = usual()
    for x in arms.values():
        for s in x["seeds"]:
            for point in s["curve"]:
                point["values"]["eval/classes"] = 10 - point["values"]["eval/fd"]
    metrics = {"eval/fd": "lower", "eval/classes": "higher", "eval/absent": None}
    text, page = write(tmp_path, arms, metrics=metrics)
    others = rows(text, "arm | eval/classes (higher is better) |")
    assert others["good"] == ["9.00 ± 0.16 ▲ better"] and len(others) == 4
    assert "- eval/absent: not measured in any arm." in text
    assert "eval/classes: significantly better: good; significantly worse: bad" in text
    assert sum(tag == "details" for tag, _ in page.tags) == 1


def test_markdown_has_no_accidental_markup():
    plain = report._plain
    assert plain("a|b <b> *x* `y` _z_ snake_case") == (
        r"a\|b \<b> \*x\* \`y\` \_z\_ snake_case"
    )


def test_csv(tmp_path):
    arms = {
        "base": arm(seed(0, 4, 0.1 + 0.2), seed(1, status="diverged")),
        "x": arm(seed(0, 5, None)),
    }
    write(tmp_path, arms)
    text = (tmp_path / "results.csv").read_bytes()
    assert b"\r" not in text
    table = list(csv.reader(text.decode().splitlines()))
    assert table == [
        "arm seed status step images metric value".split(),
        "base 0 finished 10 640 eval/fd 4".split(),
        "base 0 finished 20 1280 eval/fd 0.30000000000000004".split(),
        ["base", "1", "diverged", "", "", "", ""],
        "x 0 finished 10 640 eval/fd 5".split(),
    ]


def test_what_is_missing(tmp_path):
    arms = usual()
    del arms["base"]
    arms["bad"] = arm(seed(1, status="failed", error="Out <of> memory"), program=None)
    text, page = write(tmp_path, arms, planned=["base", *arms, "late"])
    assert "- The baseline, base, has not been run." in text
    assert "- Not run yet: base, late." in text
    assert "- bad: 1 of 5 seeds have been run." in text
    assert r"- bad: failed with seed 1: Out \<of> memory" in text
    assert "bad: failed with seed 1: Out <of> memory" in page.text
    assert "nothing can be compared" in text and "verdict" not in text
    assert rows(text, "arm | n |")["good"][2] == "1.00 ± 0.16"


def test_nothing_yet(tmp_path):
    text, page = write(tmp_path, {}, metrics={}, runs=[])
    assert "The baseline, base, has not been run." in text
    assert not (tmp_path / "curves.png").exists() and not page.images()
    with pytest.raises(FileNotFoundError, match=r"no results\.json"):
        report.write(tmp_path / "nowhere")


# --- the page -------------------------------------------------------------------------


def with_samples(folder, arms):
    rng = np.random.default_rng(0)
    (folder / "samples").mkdir()
    for name, x in arms.items():
        for s in x["seeds"]:
            s["samples"] = f"samples/{name}_{s['seed']}.png"
            grid = pictures.grid(rng.uniform(-1, 1, (36, 8, 8, 1)))
            pictures.save_png(folder / s["samples"], grid)
    return arms


def test_page_needs_nothing_beside_itself(tmp_path):
    _, page = write(tmp_path, with_samples(tmp_path, usual()))
    assert "Ablation zoo (digits)" in page.text
    assert "http" not in page.source and "@import" not in page.source
    assert not any("href" in attrs for _, attrs in page.tags)
    images = page.images()
    assert len(images) == 1 + 4 * 5  # curves, and each arm and seed
    assert all(source.startswith("data:image/") for source in images)
    assert "prefers-color-scheme: dark" in page.source
    assert "base.discriminator.width" in "".join(page.text)
    assert "In all 20.0 s." in "".join(page.text)
    cost = [x for x in page.text if x in ("bad", "good")]
    assert len(cost) > 2  # each is named as of the other's program


def test_page_shows_no_more_pictures_than_it_has_room_for(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "_MOST_PICTURES", 8)
    _, page = write(tmp_path, with_samples(tmp_path, usual()))
    assert len(page.images()) == 1 + 4 * 2
    assert page.text.count("and 3 more seeds, in samples/") == 4


def test_pictures_share_the_room(tmp_path, monkeypatch):
    arms = with_samples(tmp_path, {"base": arm(*around(2, 1)[:2])})
    noise = np.random.default_rng(0).integers(0, 256, (800, 800, 3), np.uint8)
    for s in arms["base"]["seeds"]:
        pictures.save_png(
            tmp_path / s["samples"], noise
        )  # 1.9 MB; 130 kB of 384 pixels
    monkeypatch.setattr(report, "_SAMPLES_BYTES", 2 * 50_000)
    _, page = write(tmp_path, arms)
    _, *samples = page.images()
    assert len(samples) == 2 and max(map(len, samples)) < 1.2 * 50_000


def test_page_says_what_became_of_a_seed(tmp_path):
    arms = usual()
    lost = seed(1, 3.0, status="diverged", diverged_by_step=1200)
    arms["bad"]["seeds"][1] = lost
    _, page = write(tmp_path, arms)
    assert "seed 1: diverged by step 1,200" in page.text
    assert "bad: 1 of 5 seeds diverged." in page.text


def test_page_escapes(tmp_path):
    nasty = '<script>alert(1)</script>&"$title'
    arms = usual()
    arms["bad"]["overrides"] = {"loss": nasty}
    runs = [{"command": nasty}]
    _, page = write(tmp_path, arms, runs=runs, name=nasty)
    assert not any(tag == "script" for tag, _ in page.tags)
    assert nasty in page.text and f"loss = {nasty}" in page.text


def test_same_results_make_the_same_files(tmp_path):
    write(tmp_path, with_samples(tmp_path, usual()))
    before = {name: (tmp_path / name).read_bytes() for name in FILES}
    command = [sys.executable, "-m", "experiments.report"]
    done = subprocess.run(
        [*command, f"--workdir={tmp_path}"], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(tmp_path / "report.html")
    assert before == {name: (tmp_path / name).read_bytes() for name in FILES}
    assert not list(tmp_path.glob("*.tmp"))


def test_files_are_found_by_the_text(tmp_path):
    text, _ = write(tmp_path, with_samples(tmp_path, usual()))
    assert re.findall(r"!\[[^]]*\]\((.*?)\)", text) == ["curves.png", "samples.png"]


# --- in a document --------------------------------------------------------------------

RUN = {"command": "COMMAND", "hardware": "cpu", "versions": {"jax": "1"}}
PROSE = "# Title\n\nBefore.\n\n<!-- zoo-digits -->\nold\n<!-- end -->\n\nAfter.\n"


def test_results_are_put_between_the_marks_of_a_document(tmp_path):
    arms = with_samples(tmp_path, usual())
    write(tmp_path, arms, runs=[RUN])
    page = tmp_path / "docs.md"
    page.write_text(PROSE)
    for _ in range(2):  # the second time changes nothing
        document.put(page, tmp_path)
        text = page.read_text()
        assert text.startswith(
            "# Title\n\nBefore.\n\n<!-- zoo-digits -->\n\n    COMMAND"
        )
        assert text.endswith("<!-- end -->\n\nAfter.\n") and "old" not in text
        assert text.count("| base | 5 |") == text.count("<!-- end -->") == 1
        assert "4 arms x 5 seeds in 2 programs: 20.0 s on cpu, jax 1." in text
    named = re.findall(r"!\[[^]]*\]\((.*?)\)", text)
    assert named == [
        "ablation_zoo_digits_curves.png",
        "ablation_zoo_digits_samples.png",
    ]
    for name, own in zip(named, ("curves.png", "samples.png"), strict=True):
        assert (tmp_path / name).read_bytes() == (tmp_path / own).read_bytes()


def test_an_ablation_that_a_document_lacks_is_added(tmp_path):
    write(tmp_path, usual(), runs=[RUN], name="other")
    page = tmp_path / "docs.md"
    for before in (PROSE, None):
        page.unlink(missing_ok=True)
        if before:
            page.write_text(before)
        document.put(page, tmp_path)
        text = page.read_text()
        assert "\n## other-digits\n\n<!-- other-digits -->\n" in f"\n{text}"
        assert not before or text.startswith(before)
    page.write_text("<!-- other-digits -->\n\n<!-- zoo-digits -->\n<!-- end -->\n")
    with pytest.raises(ValueError, match="other-digits --> is not followed by"):
        document.put(page, tmp_path)


def test_a_file_of_results_needs_no_folder(tmp_path):
    """Samples are missing; their picture beside the document stays in it."""
    once = {"base": arm(*around(3)), "good": arm(*around(1))}
    text = json.dumps(results(once, runs=[RUN], evaluations=1, command="AGAIN"))
    (tmp_path / "kept.json").write_text(text)
    page = tmp_path / "docs.md"
    page.write_text(PROSE)
    picture = tmp_path / "ablation_zoo_digits_samples.png"
    for pictured in (False, True):
        if pictured:
            picture.write_bytes(b"kept")
        document.put(page, tmp_path / "kept.json")
        said = page.read_text()
        assert "    AGAIN\n\n2 arms x 5 seeds in 1 program: 10.0 s" in said
        # Evaluated once, so that there are no curves.
        assert "](ablation_zoo_digits_values.png)" in said and "curves" not in said
        assert (f"]({picture.name})" in said) == pictured
    assert picture.read_bytes() == b"kept"
    assert {p.name for p in tmp_path.iterdir()} == {
        "kept.json",
        "docs.md",
        "ablation_zoo_digits_values.png",
        picture.name,
    }
