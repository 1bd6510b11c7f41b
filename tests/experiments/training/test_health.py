import html
import json
import shutil

import numpy as np
import pytest

from experiments.rundir.checkpoint import Checkpoints
from experiments.training import health
from experiments.training.health import HINTS, HealthMonitor
from experiments.training.loop import train
from experiments.training.milestones import Milestones

pytestmark = pytest.mark.usefixtures("compiled_once")

UPDATES = {"d": ("d",), "g": ("g",)}
HEALTHY = {
    "d/diversity": 0.9,
    "d/saturated": 0.2,
    "d/accuracy_real": 0.7,
    "d/accuracy_fake": 0.6,
    "d/grad_norm": 2.0,
    "g/grad_norm": 0.5,
}


def lines(n, start=1000, **changes):
    """n lines of the log, 10 steps apart; d__diversity=0.05 changes that figure."""
    changes = {name.replace("__", "/"): x for name, x in changes.items()}
    return [(start + 10 * i, HEALTHY | changes) for i in range(n)]


def listen(*parts):
    """[(step, messages)] of the lines with any; what follows goes on in steps."""
    heard, watch, shift = [], HealthMonitor(UPDATES), 0
    for part in parts:
        for step, figures in part:
            if messages := watch(step + shift, figures):
                heard.append((step + shift, messages))
        shift += 10 * len(part)
    said = [(x["step"], x["message"]) for x in watch.messages]
    assert said == [(step, m) for step, messages in heard for m in messages]
    return heard


def test_a_collapse_is_reported_once_and_its_end_once():
    heard = listen(
        lines(10),
        lines(100, d__diversity=0.05),
        lines(100, d__diversity=0.5),
        lines(3, d__diversity=0.0),
    )
    # The first line is at step 1000; the third of a kind speaks.
    assert [step for step, _ in heard] == [1120, 2120, 3120]
    (begun,), (over,), (again,) = (messages for _, messages in heard)
    assert begun == (
        "warning at step 1120: mode collapse, the samples are nearly identical: "
        "d/diversity is 0.05 of the real data's (threshold 0.1). Try "
        + HINTS[health.COLLAPSE]
    )
    assert over == (
        "resolved at step 2120: mode collapse, the samples are nearly identical: "
        "d/diversity is 0.5 of the real data's (threshold 0.1)"
    )
    assert again.startswith("warning at step 3120: mode collapse")


@pytest.mark.parametrize(
    "pattern, speaks",
    [([0.05], True), ([0.1], False), ([0.05, 0.11], False), ([0.05, 0.05, 0.2], False)],
)
def test_it_takes_three_lines_in_a_row(pattern, speaks):
    parts = [lines(1, d__diversity=x) for x in 10 * pattern]
    assert bool(listen(*parts)) == speaks


def heard_at(history):
    watch = HealthMonitor(UPDATES)
    return [step for step, figures in history if watch(step, figures)]


def test_an_untrained_generator_is_not_checked():
    same, diverse = HEALTHY | {"d/diversity": 0.05}, HEALTHY
    # Never diverse: from step 1000 on by three lines. Once diverse: from the fall on.
    assert heard_at([(i, same) for i in range(2000)]) == [1002]
    begun = [(i, diverse) for i in range(90, 110)]
    assert heard_at(begun + [(i, same) for i in range(110, 2000)]) == [112]
    risen = [(i, diverse if i > 900 else same) for i in range(2000)]
    assert heard_at(risen) == []


def test_nearly_identical_samples_that_are_always_recognised_are_not_waited_for():
    same = HEALTHY | {"d/diversity": 0.06}
    told = same | {"d/accuracy_real": 0.99, "d/accuracy_fake": 0.99}
    assert heard_at([(i, told) for i in range(900)]) == [302]
    # Negative control: those of which only one side is recognised.
    half = told | {"d/accuracy_fake": 0.6}
    assert heard_at([(i, half) for i in range(900)]) == []


def test_the_first_steps_are_not_checked():
    dead = HEALTHY | {"g/grad_norm": 0.0}
    assert heard_at([(i, dead) for i in range(0, 200)]) == [102]
    # Nor do their wild gradients count as typical.
    wild = HEALTHY | {"g/grad_norm": 1e9}
    assert heard_at([(i, wild if i < 100 else HEALTHY) for i in range(200)]) == []


@pytest.mark.parametrize(
    "player, what", [("d", health.DISCRIMINATOR), ("g", health.GENERATOR)]
)
def test_a_gradient_vanishes(player, what):
    name = f"{player}__grad_norm"
    # Norms of 1, 2 and 30: the median is 2, a ten-thousandth of it 2e-4.
    usual = [lines(1, **{name: x})[0] for x in (1.0, 30.0, 2.0)]
    assert listen(usual, lines(20, **{name: 2.1e-4})) == []
    # A vanished gradient never becomes typical, however long it lasts.
    ((begun, (first,)), (over, (second,))) = listen(
        usual, lines(1000, **{name: 1.9e-4}), lines(3)
    )
    assert first == (
        f"warning at step 1050: {what}: {player}/grad_norm is 0.00019 (threshold "
        f"0.0002). Try {HINTS[what]}"
    )
    assert (begun, over) == (1050, 1000 + 10 * 1005)
    assert second.startswith(f"resolved at step {over}: {what}: {player}/grad_norm is ")


def test_a_gradient_that_was_never_there():
    (found,) = listen(lines(50, g__grad_norm=9e-9))
    assert found[0] == 1020 and "(threshold 1e-08)" in found[1][0]
    assert listen(lines(50, g__grad_norm=1.1e-8)) == []


def test_a_perfect_discriminator_with_an_idle_generator():
    perfect = {"d__accuracy_real": 1.0, "d__accuracy_fake": 1.0}
    # The typical norm is 0.5: idle below 0.005, vanished below 0.00005.
    ((step, (message,)),) = listen(lines(5), lines(500, g__grad_norm=0.004, **perfect))
    assert step == 1070
    assert message == (
        "warning at step 1070: the discriminator is always right, and the generator "
        "learns nothing from it: d/accuracy_real and d/accuracy_fake are 1 and 1 "
        "(threshold 0.999), g/grad_norm is 0.004 (threshold 0.005). Try "
        + HINTS[health.PERFECT_DISCRIMINATOR]
    )
    assert listen(lines(5), lines(20, g__grad_norm=0.006, **perfect)) == []
    assert listen(lines(5), lines(20, **perfect)) == []
    assert listen(lines(5), lines(20, g__grad_norm=0.004)) == []
    perfect["d__accuracy_fake"] = 0.99
    assert listen(lines(5), lines(20, g__grad_norm=0.004, **perfect)) == []


def test_saturated_outputs():
    assert listen(lines(20, d__saturated=0.99)) == []
    ((_, (message,)),) = listen(lines(20, d__saturated=0.995))
    assert "nearly all outputs" in message
    assert "d/saturated is 0.995 (threshold 0.99)" in message


def test_several_things_at_once():
    ((_, messages),) = listen(lines(20, d__diversity=0.0, d__saturated=1.0))
    assert ["mode collapse" in m for m in messages] == [True, False]
    assert ["saturated" in m for m in messages] == [False, True]


# --- other sets of updates ------------------------------------------------------------

CYCLE = {"g": ("a_to_b", "b_to_a"), "d_a": ("d_a",), "d_b": ("d_b",)}
CYCLE_HEALTHY = {
    "g/loss": 3.0,
    "g/cycle": 0.5,
    "g/grad_norm": 0.5,
    **{
        f"{d}/{name}": x
        for d in ("d_a", "d_b")
        for name, x in {
            "accuracy_real": 0.7,
            "accuracy_fake": 0.6,
            "grad_norm": 2.0,
            "diversity": 0.9,
            "saturated": 0.2,
        }.items()
    },
}


def messages_of(updates, healthy, **changes):
    """What is reported when, after ten healthy lines, the metrics change for good."""
    watch = HealthMonitor(updates)
    changed = healthy | {name.replace("__", "/"): x for name, x in changes.items()}
    for i in range(40):
        watch(1000 + 10 * i, healthy if i < 10 else changed)
    assert {x["step"] for x in watch.messages} <= {1120}
    return [x["message"].removeprefix("warning at step 1120: ") for x in watch.messages]


@pytest.mark.parametrize(
    "update, problem",
    [
        ("g", health.GENERATOR),
        ("d_a", health.DISCRIMINATOR),
        ("d_b", health.DISCRIMINATOR),
    ],
)
def test_each_update_of_a_cyclegan_may_lose_its_gradient(update, problem):
    assert messages_of(CYCLE, CYCLE_HEALTHY) == []
    said = messages_of(CYCLE, CYCLE_HEALTHY, **{f"{update}__grad_norm": 1e-9})
    (message,) = said
    assert message.startswith(f"{problem}: {update}/grad_norm is 1e-09 (threshold ")


@pytest.mark.parametrize("d", ["d_a", "d_b"])
def test_each_discriminator_of_a_cyclegan_is_watched(d):
    perfect = {f"{d}__accuracy_real": 1.0, f"{d}__accuracy_fake": 1.0}
    assert messages_of(CYCLE, CYCLE_HEALTHY, **perfect) == []
    (message,) = messages_of(CYCLE, CYCLE_HEALTHY, g__grad_norm=0.004, **perfect)
    assert message.startswith(
        f"{health.PERFECT_DISCRIMINATOR}: {d}/accuracy_real and {d}/accuracy_fake are "
        "1 and 1 (threshold 0.999), g/grad_norm is 0.004 (threshold 0.005). Try "
    )
    (message,) = messages_of(CYCLE, CYCLE_HEALTHY, **{f"{d}__diversity": 0.01})
    assert message.startswith(f"{health.COLLAPSE}: {d}/diversity is 0.01 of")
    (message,) = messages_of(CYCLE, CYCLE_HEALTHY, **{f"{d}__saturated": 1.0})
    assert message.startswith(f"{health.OUTPUTS}: {d}/saturated is 1 (")


def test_two_problems_of_one_kind_are_two_messages():
    changes = {"d_a__diversity": 0.01, "d_b__diversity": 0.02}
    said = messages_of(CYCLE, CYCLE_HEALTHY, **changes)
    assert [message.split(": ")[1].split(" is ")[0] for message in said] == [
        "d_a/diversity",
        "d_b/diversity",
    ]


def test_a_regulariser_of_the_discriminator_is_no_generator():
    """Its own gradient may be as large as it likes: the generator is idle."""
    updates = {"d": ("d",), "d_r1": ("d",), "g": ("g",)}
    healthy = HEALTHY | {"d_r1/grad_norm": 1.0}
    perfect = {"d__accuracy_real": 1.0, "d__accuracy_fake": 1.0}
    (message,) = messages_of(updates, healthy, g__grad_norm=0.004, **perfect)
    assert message.startswith(health.PERFECT_DISCRIMINATOR)
    assert "d_r1" not in message
    # Where it does train the generator, not all of that is idle.
    updates["d_r1"] = ("g",)
    assert messages_of(updates, healthy, g__grad_norm=0.004, **perfect) == []


def test_metrics_of_no_update_are_not_checked():
    assert messages_of(UPDATES, HEALTHY, x__grad_norm=0.0, eval__diversity=0.0) == []


def test_a_healthy_run_raises_nothing():
    """Noise of a factor e^3 = 20 and trends of a hundred, over a thousand lines."""
    rng = np.random.default_rng(0)
    history = []
    for i in range(1000):
        noise = np.exp(rng.normal(size=2))
        history.append(
            (
                10 * i,
                {
                    "d/diversity": rng.uniform(0.15, 1.5),
                    "d/saturated": rng.uniform(0, 0.95),
                    "d/accuracy_real": rng.uniform(0.3, 1),
                    "d/accuracy_fake": rng.uniform(0.3, 1),
                    "d/grad_norm": 3 * noise[0] * 100 ** (-i / 1000),
                    "g/grad_norm": 0.1 * noise[1] * 100 ** (-i / 1000),
                },
            )
        )
    assert listen(history) == []


@pytest.mark.parametrize("missing", [None, float("nan"), float("inf"), "absent"])
def test_figures_that_are_missing(missing):
    collapsed = HEALTHY | {"d/diversity": 0.0}
    if missing == "absent":
        without = {"eval/fid": 3.0}
    else:
        without = dict.fromkeys(HEALTHY, missing)
    watch = HealthMonitor(UPDATES)
    for step in range(1000, 1100):
        assert watch(step, without) == []
    # A line without the figure neither counts nor starts the count again.
    heard = [
        bool(watch(2000 + i, figures))
        for i, figures in enumerate([collapsed, without, collapsed, without, collapsed])
    ]
    assert heard == [False, False, False, False, True]


def test_replay_reports_what_was_reported(tmp_path):
    parts = [*lines(7), *lines(7, 2000, d__diversity=0.01), *lines(7, 3000)]
    path = tmp_path / "metrics.jsonl"
    records = [{"step": step, **figures} for step, figures in parts]
    records.insert(9, {"step": 2010, "eval/frechet/fid": None})
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    live = HealthMonitor(UPDATES)
    for step, figures in parts:
        live(step, figures)
    assert [x["step"] for x in live.messages] == [2020, 3020]
    again = health.replay(path, UPDATES)
    assert again.messages == live.messages
    # It goes on where the lines end.
    watch = health.replay(path, UPDATES)
    heard = [bool(watch(*line)) for line in lines(4, 4000, d__diversity=0.01)]
    assert heard == [False, False, True, False]


# --- in a run -------------------------------------------------------------------------


def warnings(workdir):
    return json.loads((workdir / "run.json").read_text())["warnings"]


def numbers(workdir):
    found = (workdir / "metrics.jsonl").read_text().splitlines()
    clock = ("steps_per_s", "images_per_s", "seconds")
    return [{k: v for k, v in json.loads(x).items() if k not in clock} for x in found]


@pytest.fixture
def collapsed(tiny):
    """All samples are the same: the generator's weights are next to nothing."""
    config = tiny(
        "gan",
        "circle",
        steps=1400,
        steps_per_call=100,
        log_every=100,
        sample_every=1400,
        checkpoint_every=100,
        keep_checkpoints=20,
        n_evaluate=100,
    )
    config.generator.optimizer.clip = 1e-3
    return config


def test_a_collapse_is_reported_and_kept(tmp_path, collapsed, capfd):
    """Whatever is trained again: nothing is reported twice, and nothing is lost."""
    train(collapsed, tmp_path)
    (warned,) = [x for x in capfd.readouterr().err.splitlines() if "warning" in x]
    # Three lines of the log agree; before step 300 samples are not checked, and from
    # there on as the discriminator recognises them.
    assert warned.startswith("warning at step 500: mode collapse")
    assert warnings(tmp_path) == [{"step": 500, "message": warned}]
    page = (tmp_path / "report.html").read_text()
    assert "Warnings during training" in page and html.escape(warned) in page
    before = numbers(tmp_path)
    assert all(isinstance(x, int | float | None) for r in before for x in r.values())

    # From after the warning, from between the lines that led to it, from before.
    for step, again in ((600, False), (400, True), (200, True)):
        for later in Checkpoints(tmp_path, keep=None).steps():
            if later > step:
                shutil.rmtree(tmp_path / "checkpoints" / str(later))
        train(collapsed, tmp_path)
        err = capfd.readouterr().err
        assert f"continuing after step {step}" in err
        assert ("warning at step 500" in err) == again
        assert warnings(tmp_path) == [{"step": 500, "message": warned}]
        assert numbers(tmp_path) == before


def test_a_healthy_run_has_no_warnings(tmp_path, collapsed, capfd):
    """The same game, but for what makes it collapse."""
    collapsed.generator.optimizer.clip = None
    train(collapsed, tmp_path)
    assert "warning" not in capfd.readouterr().err
    assert warnings(tmp_path) == []
    assert "Warnings" not in (tmp_path / "report.html").read_text()


def test_a_warning_is_on_disk_before_a_run_is_killed(tmp_path, collapsed, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*args, **options):
        raise Killed

    monkeypatch.setattr(Milestones, "save", kill)
    collapsed.checkpoint_every = 700
    with pytest.raises(Killed):
        train(collapsed, tmp_path)
    assert [x["step"] for x in warnings(tmp_path)] == [500]
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "running"
