import dataclasses
import functools
import json
import os
import resource
import shutil
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import config as configs
from experiments.config import ConfigError
from experiments.rundir.checkpoint import CheckpointError, Checkpoints
from experiments.signals import Interrupted
from experiments.training import loop as train_module
from experiments.training import samples as samples_module
from experiments.training.loop import train
from experiments.training.metric_buffer import NotFinite
from gans import core, data
from gans.data import pipeline

pytestmark = pytest.mark.usefixtures("compiled_once")


@pytest.fixture
def config(tiny):
    return tiny(
        "gan",
        "circle",
        steps=40,
        steps_per_call=5,
        log_every=10,
        sample_every=20,
        checkpoint_every=10,
        keep_checkpoints=10,
        evaluate_every=0,
        n_evaluate=100,
        n_critic=2,
    )


def lines(workdir):
    found = (workdir / "metrics.jsonl").read_text().splitlines()
    clock = ("steps_per_s", "images_per_s", "seconds")
    return [{k: v for k, v in json.loads(x).items() if k not in clock} for x in found]


def restore(workdir, step=None):
    config = configs.from_json((workdir / "config.json").read_text())
    init = functools.partial(core.init, configs.build(config))
    template = jax.eval_shape(init, jax.random.key(0))
    return Checkpoints(workdir, keep=None).restore(template, step)


def assert_same(a, b):
    """Two runs are the same, bit for bit."""
    for x, y in zip(*(jax.tree.leaves(restore(w)[0]) for w in (a, b)), strict=True):
        assert x.tobytes() == y.tobytes()
    pictures = [sorted((w / "samples").glob("step_*.png")) for w in (a, b)]
    assert [p.name for p in pictures[0]] == [p.name for p in pictures[1]]
    for x, y in zip(*pictures, strict=True):
        assert x.read_bytes() == y.read_bytes()
    assert lines(a) == lines(b)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Workdir by config: a run without interruption, made once."""
    made = {}

    def run(config):
        key = configs.to_json(config)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("whole")
            train(config, made[key])
        return made[key]

    return run


def test_leaves_its_story(whole, config, capfd):
    workdir = whole(config)
    shown = capfd.readouterr().err
    shown = shown.splitlines()
    assert shown[-1].startswith("finished: gan on circle, 40 steps. Too early to say")
    assert f"Report: {workdir / 'report.html'}" in shown[-1]
    assert shown[0] == "gan on circle" and f"  report    {workdir}/report.html" in shown
    assert "  training  40 steps, 0.0012 epochs" in shown  # 160 of 2^17 points
    compiling = next(i for i, x in enumerate(shown) if x.startswith("compiling"))
    assert shown[compiling + 1].startswith("first step after ")
    assert shown[compiling + 2].startswith(" 5/40  12%")
    assert shown[-4].startswith(f"  samples  {workdir}/samples/step_00000040.png")
    assert shown[-3].startswith(f"  best     {workdir}/checkpoints/")
    assert shown[-2].startswith("  time     ")
    found = lines(workdir)
    assert [line["step"] for line in found] == [10, 20, 30, 40, 40]
    assert all(set(x) > {"d/loss", "g/loss", "d/score_real"} for x in found[:4])
    assert all(name.startswith("eval/modes/") for name in set(found[4]) - {"step"})
    names = sorted(p.name for p in (workdir / "samples").iterdir())
    steps = [f"step_{step:08d}.png" for step in (0, 20, 40)]
    assert names == ["real.png", *steps]
    assert Checkpoints(workdir, keep=None).steps() == [10, 20, 30, 40]
    manifest = json.loads((workdir / "run.json").read_text())
    assert manifest["status"] == "finished"
    for key in ("seconds_to_first_step", "compile_seconds", "steps_per_s"):
        assert manifest[key] > 0
    assert manifest["examples_in_data"] == 2**17 and manifest["batch_size"] == 4
    assert manifest["parameters"].keys() == {"d", "g"} and manifest["classes"] is None
    assert manifest["images_per_s"] == pytest.approx(4 * manifest["steps_per_s"])
    assert "circle" in (workdir / "report.html").read_text()


def test_a_finished_run_only_gets_its_report_again(whole, config, capfd):
    workdir = whole(config)
    before = {p: p.stat().st_mtime_ns for p in workdir.rglob("*") if p.is_file()}
    (workdir / "report.html").unlink()
    train(config, workdir)
    assert "already finished" in capfd.readouterr().err
    after = {p: p.stat().st_mtime_ns for p in workdir.rglob("*") if p.is_file()}
    changed = {p.name for p in {*before, *after} if before.get(p) != after.get(p)}
    assert changed == {"report.html", "config.json"}


def test_the_best_checkpoint_is_kept_beside_the_last(
    tmp_path, config, monkeypatch, capfd
):
    """Also where the run was resumed, and where no checkpoint was due at that step."""
    config.keep_checkpoints, config.checkpoint_every, config.evaluate_every = 1, 20, 10
    quality = {10: 0.5, 20: 0.7, 30: 0.9, 40: 0.8, 50: 0.6, 60: 0.7}

    def measure(points, source):
        return {"high_quality": quality[steps_seen.pop()]}

    monkeypatch.setattr("gans.metrics.scores.modes.measure", measure)
    kept = Checkpoints(tmp_path, keep=None)

    steps_seen, config.steps = [20, 10], 20
    train(config, tmp_path)
    assert kept.steps() == [20]
    steps_seen, config.steps = [40, 30], 40
    train(config, tmp_path, allow_config_change=True)
    assert kept.steps() == [30, 40]
    best = {"step": 30, "metric": "modes/high_quality", "value": 0.9}
    assert json.loads((tmp_path / "run.json").read_text())["best"] == best
    assert restore(tmp_path)[1]["best"] == best
    records = (tmp_path / "evaluations.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in records] == [10, 20, 30, 40]
    values = [x["eval/modes/high_quality"] for x in lines(tmp_path) if len(x) == 2]
    assert values == [0.5, 0.7, 0.9, 0.8]
    # A process that finds none that is better does not forget it.
    steps_seen, config.steps = [60, 50], 60
    train(config, tmp_path, allow_config_change=True)
    assert kept.steps() == [30, 60]
    assert json.loads((tmp_path / "run.json").read_text())["best"] == best


def test_a_changed_config_is_rejected_unless_asked_for(tmp_path, config):
    config.steps = 10
    train(config, tmp_path)
    first = restore(tmp_path)[0]
    config.steps, config.log_every, config.batch_size = 20, 5, 6
    with pytest.raises(ConfigError) as caught:
        train(config, tmp_path)
    said = str(caught.value).splitlines()
    assert said[1:-1] == ["  batch_size: 4 -> 6"]  # more steps need no leave
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == 10
    state = train(config, tmp_path, allow_config_change=True)
    assert int(first.step) == 10 and int(state.step) == 20
    assert [line["step"] for line in lines(tmp_path)] == [10, 10, 15, 20, 20]


def test_falls_back_to_the_checkpoint_before_a_damaged_one(
    tmp_path, whole, config, capfd
):
    steps, config.steps = config.steps, 30
    train(config, tmp_path)
    config.steps = steps
    damaged = tmp_path / "checkpoints" / "30" / "manifest.ocdbt"
    os.truncate(damaged, damaged.stat().st_size // 2)
    # What an evaluation at the end of 30 steps has written goes with its checkpoint.
    train(config, tmp_path, allow_config_change=True)
    said = capfd.readouterr().err
    assert f"damaged checkpoint {tmp_path / 'checkpoints' / '30'}" in said
    assert "continuing after step 20" in said
    assert (tmp_path / "checkpoints" / "30.damaged-1").is_dir()
    assert_same(tmp_path, whole(config))


def test_never_begins_anew_over_damaged_checkpoints(tmp_path, config):
    config.steps = 10
    train(config, tmp_path)
    (tmp_path / "checkpoints" / "10" / "checksums.json").unlink()
    metrics = (tmp_path / "metrics.jsonl").read_text()
    with pytest.raises(CheckpointError, match="no good checkpoint"):
        train(config, tmp_path)
    assert (tmp_path / "metrics.jsonl").read_text() == metrics


@pytest.fixture
def spoil(monkeypatch):
    """spoil(f): adds f(loss, nets, batch, step) to the loss of every GAN's update d."""

    def install(f):
        build = configs.build

        def spoiled(config, stage=0):
            gan = build(config, stage)
            update = gan.updates[0]

            def loss(nets, batch, key, state):
                value, out = update.loss(nets, batch, key, state)
                return f(value, nets, batch, state.step), out

            changed = dataclasses.replace(update, loss=loss)
            return dataclasses.replace(gan, updates=(changed, *gan.updates[1:]))

        monkeypatch.setattr(configs, "build", spoiled)

    return install


def nan_at(step):
    return lambda loss, nets, batch, now: jnp.where(now == step, jnp.nan, loss)


def all_finite(workdir):
    for step in Checkpoints(workdir, keep=None).steps():
        for x in jax.tree.leaves(restore(workdir, step)[0]):
            assert np.isfinite(np.asarray(x, np.float32)).all()


def test_nan_stops_and_keeps_the_last_good_checkpoint(tmp_path, config, spoil):
    spoil(nan_at(26))
    with pytest.raises(NotFinite) as caught:
        train(config, tmp_path)
    said = str(caught.value)
    assert "update 'd' is nan at step 27; the metrics of that step: d/" in said
    assert f"last good checkpoint: {tmp_path / 'checkpoints' / '20'}" in said
    assert Checkpoints(tmp_path, keep=None).steps() == [10, 20]
    assert [line["step"] for line in lines(tmp_path)] == [10, 20]
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()
    all_finite(tmp_path)
    assert "nan at step 27" in json.loads((tmp_path / "run.json").read_text())["status"]


def test_no_checkpoint_ever_holds_nan(tmp_path, config, spoil):
    # The loss is finite, its gradient is not: that of sqrt at 0, times 0.
    def spoiled(loss, nets, batch, step):
        weight = jax.tree.leaves(nets["d"].params)[0].sum()
        return loss + jnp.sqrt(jnp.where(step == 19, 0 * weight, 1.0))

    spoil(spoiled)
    config.n_critic = 3  # so that g, whose loss would show it, is not due at step 20
    with pytest.raises(NotFinite, match="not finite after step 20: opt/d, params/d"):
        train(config, tmp_path)
    assert Checkpoints(tmp_path, keep=None).steps() == [10]
    all_finite(tmp_path)


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(26, id="a checkpoint"),
        pytest.param(3, id="no checkpoint", marks=pytest.mark.slow),
    ],
)
def test_rollback_takes_other_data_and_other_noise(
    tmp_path, config, spoil, step, capfd
):
    source = data.load("circle")
    poison = pipeline.batches(source, 4, seed=0)[step]["point"][0, 0]
    spoil(
        lambda loss, nets, batch, now: jnp.where(
            (now == step) & (batch["point"][0, 0] == poison), jnp.nan, loss
        )
    )
    config.on_nan = "rollback"
    train(config, tmp_path)
    assert "random stream 1" in capfd.readouterr().err
    assert [line["step"] for line in lines(tmp_path)] == [10, 20, 30, 40, 40]
    streams = [restore(tmp_path, step)[1]["stream"] for step in (10, 20, 30, 40)]
    assert streams == ([0, 0, 1, 1] if step == 26 else [1, 1, 1, 1])

    # Killed before the last checkpoint it goes on in the same stream.
    last, shown = restore(tmp_path)[0], lines(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints" / "40")
    train(config, tmp_path)
    again = restore(tmp_path)[0]
    for x, y in zip(jax.tree.leaves(last), jax.tree.leaves(again), strict=True):
        assert x.tobytes() == y.tobytes()
    assert lines(tmp_path) == shown


def test_rollback_ends_after_three(tmp_path, config, spoil, capfd):
    spoil(nan_at(26))
    config.on_nan = "rollback"
    with pytest.raises(NotFinite):
        train(config, tmp_path)
    said = capfd.readouterr().err
    assert [f"random stream {i}" in said for i in range(5)] == [0, 1, 1, 1, 0]
    assert Checkpoints(tmp_path, keep=None).steps() == [10, 20]


@pytest.mark.parametrize(
    "key, value, said",
    [
        ("data", "circel", "unknown data set 'circel'"),
        ("loss", "hing", "did you mean 'hinge'"),
        ("metrics", ("modez",), "did you mean 'modes'"),
    ],
)
def test_a_mistake_is_told_before_anything_is_written(
    tmp_path, config, key, value, said
):
    config[key] = value
    with pytest.raises(ConfigError, match=said):
        train(config, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_ctrl_c_leaves_a_checkpoint(tmp_path, whole, config, monkeypatch, capfd):
    drawn = samples_module.pictures.draw

    def draw(stem, *args, **options):
        if stem.name == "step_00000020":
            os.kill(os.getpid(), signal.SIGINT)
        return drawn(stem, *args, **options)

    monkeypatch.setattr(samples_module.pictures, "draw", draw)
    config.checkpoint_every = 15
    # A job of a shell without job control is started with Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(Interrupted) as caught:
        train(config, tmp_path)
    assert (caught.value.number, caught.value.step) == (signal.SIGINT, 20)
    assert Checkpoints(tmp_path, keep=None).steps() == [15, 20]
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler
    monkeypatch.undo()
    train(config, tmp_path)
    assert "continuing after step 20" in capfd.readouterr().err
    config.checkpoint_every = 10
    assert_same(tmp_path, whole(config))


def test_what_was_not_logged_yet_counts_when_a_run_goes_on(tmp_path, whole, config):
    """Checkpoints lie between two lines of the log; the run ends between two."""

    class Killed(BaseException):
        pass

    def kill(step):
        if step == 20:
            raise Killed

    config.checkpoint_every = 15
    with pytest.raises(Killed):
        train(config, tmp_path, on_call=kill)
    assert Checkpoints(tmp_path, keep=None).latest() == 15
    assert [x["step"] for x in lines(tmp_path)] == [10]
    train(config, tmp_path)
    config.checkpoint_every = 10
    assert_same(tmp_path, whole(config))


def test_a_run_of_an_older_version_goes_on_to_the_same_bits(tmp_path, whole, config):
    penalty = {"name": "r1", "weight": 2.0}
    config.discriminator.penalties = (penalty,)
    workdir = tmp_path / "old"
    shutil.copytree(whole(config), workdir)
    for step in (30, 40):
        shutil.rmtree(workdir / "checkpoints" / str(step))
    (workdir / "run.json").write_text("{}")
    old = json.loads((workdir / "config.json").read_text())
    del old["spec"]
    old["critic"] = old.pop("discriminator")
    assert old["critic"]["penalties"] == [penalty] and old["shape"] == [2]
    old["critic"]["penalties"] = ["r1(weight=2.0)"]
    (workdir / "config.json").write_text(json.dumps(old))
    path = workdir / "metrics.jsonl"
    path.write_text(path.read_text().replace("/score_", "/"))
    train(config, workdir)
    for x, y in zip(
        *(jax.tree.leaves(restore(w)[0]) for w in (whole(config), workdir)), strict=True
    ):
        assert x.tobytes() == y.tobytes()
    wanted, found = lines(whole(config)), lines(workdir)
    assert found[2:] == wanted[2:]
    assert {"d/real", "d/fake", "d/gap"} < found[0].keys()  # as they were written
    assert '"critic"' not in (workdir / "config.json").read_text()
    assert "d/real" not in (workdir / "report.html").read_text()
    # Negative control: another weight is another config.
    old["critic"]["penalties"] = ["r1(weight=3.0)"]
    (workdir / "config.json").write_text(json.dumps(old))
    with pytest.raises(ConfigError, match="another config"):
        train(config, workdir)


def test_a_number_of_steps_per_call_that_does_not_fit(tmp_path, config):
    config.steps = 10
    train(config, tmp_path)
    config.steps, config.steps_per_call, config.sample_every = 40, 4, 40
    config.log_every = config.checkpoint_every = 8
    with pytest.raises(ConfigError, match="steps_per_call=4 does not divide the 10"):
        train(config, tmp_path, allow_config_change=True)


def test_a_file_that_may_not_grow(tmp_path, whole, config):
    whole(config)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
    try:
        with pytest.raises(train_module.DiskFull) as caught:
            train(config, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = str(caught.value)
    assert said.startswith(str(tmp_path)) and "File too large" in said
    kept = Checkpoints(tmp_path, keep=None).steps()
    assert said.endswith(f"{tmp_path / 'checkpoints'} with steps {kept}")
    train(config, tmp_path)
    assert_same(tmp_path, whole(config))


def test_a_run_whose_score_fails_is_finished_with_its_report(
    config, tmp_path, monkeypatch, capsys
):
    def measure(points, source):
        raise RuntimeError("no such luck")

    monkeypatch.setattr("gans.metrics.scores.modes.measure", measure)
    config.metrics, config.evaluate_every = ("modes",), 20
    train(config, tmp_path)
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "finished"
    assert (tmp_path / "report.html").exists()
    kept = (tmp_path / "evaluations.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in kept]
    assert [x["step"] for x in found] == [20, 40]
    assert all(x["failed"] == {"modes": "no such luck"} for x in found)
    assert all(x["results"] == {} for x in found)
    assert "step 40: modes failed: no such luck" in capsys.readouterr().err
    assert "best" not in json.loads((tmp_path / "run.json").read_text())
