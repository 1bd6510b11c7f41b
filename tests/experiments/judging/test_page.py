"""The page in a browser: whole sessions, whose files are read as they are saved."""

import json
import re
import time

import numpy as np
import pytest

from experiments.judging import answers, results, study
from tests.experiments.judging import browser

MODELS = GOOD, BAD = ("good_model", "bad_model")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Three sets of pictures, as files: {name: path}."""
    folder, found = tmp_path_factory.mktemp("pictures"), {}
    for i, name in enumerate(("real", *MODELS)):
        rng = np.random.default_rng(i)
        found[name] = str(folder / f"{name}.npz")
        images = rng.integers(0, 256, (20, 8, 12, 3)).astype(np.uint8)
        np.savez(found[name], image=images)
    return found


def made(pictures, folder, task, **options):
    fakes = [pictures[x] for x in MODELS]
    given = {"task": task, "trials": 4, "catches": 1, **options}
    return study.make(pictures["real"], fakes, str(folder / "x.html"), **given)


def test_the_page_needs_nothing_and_says_no_truth(pictures, tmp_path):
    lines = made(pictures, tmp_path, "choice", seconds=0.1, consent="a <b> & c")
    assert lines[0].startswith("study ") and "9 trials, 18 pictures" in lines[0]
    text = (tmp_path / "x.html").read_text()
    words = re.sub(r"base64,[\w+/=]*", "", text)
    assert not re.findall(r"https?://|\$[a-z{]|_model|npz", words)
    assert "a &lt;b&gt; &amp; c" in text and "0.1 seconds" in text
    found = json.loads(re.search(r"const study = (.*);", text)[1])
    assert found["codes"] == [] and len(found["pictures"]) == 18
    assert {*found} == {"name", "task", "seconds", "parts", "codes", "pictures"}
    key = answers.read_key(tmp_path / "x.key.json")
    assert key.study == found["name"] and key.design.pictures.count(GOOD) == 4
    # In their order alone, nothing tells real pictures from others.
    assert sorted(key.design.pictures) != [*key.design.pictures]


def test_the_key_of_another_study_is_kept(pictures, tmp_path):
    made(pictures, tmp_path, "choice")
    made(pictures, tmp_path, "choice")
    with pytest.raises(FileExistsError, match="the key of another study"):
        made(pictures, tmp_path, "choice", seed=1)


@pytest.mark.slow
@pytest.mark.skipif(browser.PROGRAM is None, reason="there is no Chromium")
@pytest.mark.parametrize("task", ["choice", "staircase"])
def test_a_session(task, pictures, tmp_path):
    made(pictures, tmp_path, task, seconds=0.05 if task == "choice" else None)
    key = answers.read_key(tmp_path / "x.key.json")
    source = key.design.pictures

    def left_is_real(shown):
        """All of GOOD is taken for real, nothing else is mistaken."""
        right = source[shown[0]] == "real"
        return right != (GOOD in [source[i] for i in shown])

    with browser.opened(tmp_path / "x.html", tmp_path) as page:
        page.click("#begin")
        for i in range(key.design.n_trials):
            page.until(
                f"answer !== null && result.answers.length === {i} || next !== null"
            )
            if page.value("next !== null"):
                page.press(" ")
                page.until("answer !== null")
            left = left_is_real(page.value(f"trials[{i}].pictures"))
            button = f"#answers button:nth-child({1 if left else 2})"
            if i % 3 == 0:
                page.press("ArrowLeft" if left else "ArrowRight")
            elif i % 3 == 1:
                page.tap(button)
            else:
                page.click(button)
        page.until("saved && result.complete")
        path = tmp_path / page.value("file()")
        end = time.monotonic() + 30
        while not path.exists():
            assert time.monotonic() < end
            time.sleep(0.1)
        assert not page.problems
    (one,) = answers.read([path], key)
    assert one.why_not is None and len(one.answers) == key.design.n_trials
    found = results.of(key, [one])["results"]
    rates = {model: found[model]["fooled"]["value"] for model in MODELS}
    assert rates == {GOOD: 1.0, BAD: 0.0}
    given = json.loads(path.read_text())["answers"]
    if task == "choice":
        assert all(40 < x["shown_ms"] < 1000 for x in given)
        return
    for part in range(len(MODELS)):
        ms, n = 500, 0
        for x in (x for x in one.answers if x.part == part):
            if "catch" in x.sources:
                assert x.asked_ms == 1000
                continue
            assert x.asked_ms == ms
            ms, n = ms + (30 if x.wrong else -10), n + 1
        assert n == 4
