"""A training in three stages: growing resolution, falling batch, interrupted anywhere.

The variant is this file: `build` and `stages` below.
"""

import dataclasses
import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from experiments import config as configs
from experiments.config import ConfigError
from experiments.rundir.checkpoint import Checkpoints
from experiments.signals import Interrupted
from experiments.training import loop
from experiments.training.loop import train
from experiments.training.metric_buffer import NotFinite
from experiments.training.stage import Stages
from gans import core
from gans.data import pipeline
from gans.stages import Stage

once = pytest.mark.usefixtures("compiled_once")
SIDES, STEPS, BATCHES = (4, 8, 16), (20, 30, 10), (8, 4, 2)
BORDERS = (20, 50)


class Grow(nn.Module):
    """z [B, L] to images [B, S, S, 1]: a 4x4 image, made finer once a stage."""

    stage: int

    @nn.compact
    def __call__(self, z, train):
        x = nn.Dense(16, name="first")(z).reshape(-1, 4, 4, 1)
        for i in range(self.stage):
            x = x.repeat(2, 1).repeat(2, 2)
            x = x + nn.Dense(1, name=f"finer{i}")(jnp.sin(x))
        return jnp.tanh(x)


class Shrink(nn.Module):
    """Images [B, S, S, 1] to logits [B]: the finest layer is the newest."""

    stage: int

    @nn.compact
    def __call__(self, x, train):
        for i in reversed(range(self.stage)):
            x = nn.relu(nn.Dense(1, name=f"coarser{i}")(x))
            x = x.reshape(len(x), x.shape[1] // 2, 2, -1, 2, 1).mean((2, 4))
        return nn.Dense(1, name="last")(x.reshape(len(x), -1))[:, 0]


def stages(config, spec):
    """What `gans.stages` asks of a variant."""
    image, label = spec["image"], spec["label"]
    return tuple(
        Stage(
            steps=steps,
            batch_size=size,
            spec={
                "image": dataclasses.replace(image, shape=(side, side, 1)),
                "label": label,
            },
            reset_optimisers=i == 2,
        )
        for i, (side, steps, size) in enumerate(
            zip(SIDES, config.get("stage_steps", STEPS), BATCHES, strict=True)
        )
    )


def build(config, spec, stage=0):
    """A non-saturating GAN of `Grow` and `Shrink`."""
    shape, latent = spec["image"].shape, 5

    def d_loss(nets, batch, key, state):
        fake = nets["g"](jax.random.normal(key, (len(batch["image"]), latent)))
        on_real, on_fake = nets["d"](batch["image"]), nets["d"](fake)
        found = {"mean": batch["image"].mean(), f"side{shape[0]}": on_real.mean()}
        return jax.nn.softplus(on_fake).mean() + jax.nn.softplus(
            -on_real
        ).mean(), core.Out(found)

    def g_loss(nets, batch, key, state):
        fake = nets["g"](jax.random.normal(key, (len(batch["image"]), latent)))
        return jax.nn.softplus(-nets["d"](fake)).mean(), core.Out()

    z = jax.ShapeDtypeStruct((1, latent), jnp.float32)
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    nets = {
        "g": core.Net(Grow(stage), (z,), optax.adam(1e-2), ema=0.9),
        "d": core.Net(Shrink(stage), (x,), optax.adam(1e-2)),
    }
    return core.GAN(
        nets=nets,
        updates=(core.Update("d", ("d",), d_loss), core.Update("g", ("g",), g_loss)),
        inputs=lambda key, batch: {
            "z": jax.random.normal(key, (core.length(batch), latent))
        },
        outputs={"sample": lambda nets, x, key: {"image": nets["g"](x["z"])}},
    )


@pytest.fixture
def config(tiny):
    config = tiny(
        "gan",
        "digits",
        resolution=16,
        n_classes=None,
        batch_size=8,
        steps=sum(STEPS),
        steps_per_call=5,
        log_every=15,
        sample_every=25,
        checkpoint_every=15,
        diagnose_every=30,
        keep_checkpoints=20,
        evaluate_every=0,
        metrics=(),
    )
    config.variant = __name__
    return config


def state_of(workdir, step=None, variant=None):
    """(state, extra) of a checkpoint, in the form of its stage."""
    config = configs.from_json((workdir / "config.json").read_text())
    config.variant = variant or config.variant
    source = configs.load_data(config)
    return Checkpoints(workdir, keep=None).restore(
        Stages(config, source).template, step
    )


def lines(workdir):
    found = (workdir / "metrics.jsonl").read_text().splitlines()
    clock = ("steps_per_s", "images_per_s", "seconds")
    return [{k: v for k, v in json.loads(x).items() if k not in clock} for x in found]


def pictures(workdir):
    return {p.name: p.read_bytes() for p in (workdir / "samples").glob("step_*.png")}


def assert_same(a, b):
    """Two runs are the same, bit for bit."""
    for x, y in zip(*(jax.tree.leaves(state_of(w)[0]) for w in (a, b)), strict=True):
        assert x.tobytes() == y.tobytes()
    assert pictures(a) == pictures(b)
    assert lines(a) == lines(b)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Returns the workdir of a run without interruption, made once."""
    made = []

    def run(config):
        if not made:
            made.append(tmp_path_factory.mktemp("whole"))
            train(config, made[0])
        return made[0]

    return run


@once
def test_every_stage_has_its_own_data_batch_and_networks(whole, config, capfd):
    workdir = whole(config)
    said = capfd.readouterr().err
    assert "stage 2 of 3 begins after step 20: batches of 4" in said
    assert "stage 3 of 3 begins after step 50: batches of 2" in said
    # Lines where they are due, and at the ends of stages.
    logged = [line for line in lines(workdir) if "d/loss" in line]
    assert [line["step"] for line in logged] == [15, 20, 30, 45, 50, 60]
    sides = [next(k for k in line if k.startswith("d/side")) for line in logged]
    assert sides == ["d/side4", "d/side4", "d/side8", "d/side8", "d/side8", "d/side16"]
    kept = Checkpoints(workdir, keep=None).steps()
    assert kept == [15, 20, 30, 45, 50, 60]
    found = {step: state_of(workdir, step) for step in kept}
    assert [extra["stage"] for _, extra in found.values()] == [0, 0, 1, 1, 1, 2]
    n_layers = [len(state.params["g"]) for state, _ in found.values()]
    assert n_layers == [1, 1, 2, 2, 2, 3]
    record = json.loads((workdir / "run.json").read_text())
    # 20 steps of 8, 30 of 4 and 10 of 2.
    assert record["examples"] == 300 and record["status"] == "finished"
    assert [*record["standstills"]] == ["20", "50"]
    assert "300" in (workdir / "report.html").read_text()
    # Where they are due, and at the end of each stage.
    steps = [int(name[5:13]) for name in sorted(pictures(workdir))]
    assert steps == [0, 20, 25, 50, 60]


def by_hand(config):
    """The state after each step, without the loop: an independent count of rows."""
    config = configs.resolve(config, configs.load_data(config))
    key_init, key = jax.random.split(jax.random.fold_in(jax.random.key(0), 0))
    state, row, made = None, 0, [None]
    for i, (side, steps, size) in enumerate(zip(SIDES, STEPS, BATCHES, strict=True)):
        gan = configs.build(config, i)
        new = jax.jit(functools.partial(core.init, gan))(key_init)
        if state is not None:  # every layer that was there goes on
            new = new.replace(
                step=state.step,
                params={n: {**new.params[n], **state.params[n]} for n in new.params},
                ema={
                    "g": {
                        "params": {
                            **new.ema["g"]["params"],
                            **state.ema["g"]["params"],
                        },
                        "stats": {},
                    }
                },
                opt=new.opt if i == 2 else _together(state.opt, new.opt),
            )
        state, make = new, jax.jit(core.make_step(gan))
        source = configs.load_data(config, side)
        # The same rows in the same order, one example at a time.
        one_by_one = pipeline.batches(source, 1, seed=0)
        for _ in range(steps):
            rows = [one_by_one[row + j] for j in range(size)]
            raw = {k: np.concatenate([r[k] for r in rows]) for k in rows[0]}
            state, _ = make(state, one_by_one.prepare(raw), key)
            row += size
            made.append(state)
    return made


def _together(old, new):
    """Adam's states: moments of the layers that were there go on."""
    merged = {}
    for name, (adam, *rest) in new.items():
        before = old[name][0]
        moments = {k: {**getattr(adam, k), **getattr(before, k)} for k in ("mu", "nu")}
        merged[name] = (adam._replace(count=before.count, **moments), *rest)
    return merged


@once
def test_it_is_the_training_done_by_hand(whole, config):
    """Up to the rounding of scanned steps; and what is compared has changed by more."""
    found = {step: state_of(whole(config), step)[0] for step in (20, 30, 60)}
    made = by_hand(config)
    for step, state in found.items():
        expected = made[step]
        assert int(state.step) == int(expected.step) == step
        for field in ("params", "ema"):
            a, b = (jax.tree.leaves(getattr(s, field)) for s in (state, expected))
            for x, y in zip(a, b, strict=True):
                np.testing.assert_allclose(x, y, rtol=2e-3, atol=2e-4)
    # The negative control: five steps less are another state.
    with pytest.raises(AssertionError):
        for x, y in zip(
            jax.tree.leaves(found[30].params),
            jax.tree.leaves(made[25].params),
            strict=True,
        ):
            np.testing.assert_allclose(x, y, rtol=2e-3, atol=2e-4)


@once
@pytest.mark.slow
@pytest.mark.parametrize("stops", [(10,), (20,), (50,), (25,), (20, 50), (15, 35, 55)])
def test_interrupted_anywhere_it_ends_as_if_it_had_not_been(
    tmp_path, whole, config, stops, monkeypatch
):
    """In the middle of a stage, at a border, and after one."""
    whole(config)
    wanted, steps = list(stops), loop.ahead.steps

    def killing(call, state, start, stop, per_call, **options):
        for step, *found in steps(call, state, start, stop, per_call, **options):
            if wanted and step == wanted[0]:
                wanted.pop(0)
                os.kill(os.getpid(), signal.SIGTERM)
            yield step, *found

    monkeypatch.setattr(loop.ahead, "steps", killing)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for stop in stops:
            with pytest.raises(Interrupted) as caught:
                train(config, tmp_path)
            assert caught.value.step == stop
            assert Checkpoints(tmp_path, keep=None).latest() == stop
    finally:
        signal.signal(signal.SIGTERM, before)
    train(config, tmp_path)
    for x, y in zip(
        *(jax.tree.leaves(state_of(w)[0]) for w in (tmp_path, whole(config))),
        strict=True,
    ):
        assert x.tobytes() == y.tobytes()
    assert pictures(tmp_path) == pictures(whole(config))


@once
@pytest.mark.parametrize("last", [20, 50, 45])
def test_killed_it_goes_on_from_the_last_checkpoint(tmp_path, whole, config, last):
    """Of a process that was killed all that remains is the files."""
    workdir = tmp_path / "run"
    shutil.copytree(whole(config), workdir)
    record = json.loads((workdir / "run.json").read_text())
    (workdir / "run.json").write_text(json.dumps(record | {"status": "running"}))
    for step in Checkpoints(workdir, keep=None).steps():
        if step > last:
            shutil.rmtree(workdir / "checkpoints" / str(step))
    train(config, workdir)
    assert_same(workdir, whole(config))


@once
def test_the_last_stage_may_get_longer(tmp_path, config):
    """As if it always had been; a stage that is over may not."""

    def changed(*steps):
        own = config.copy_and_resolve_references()
        with own.unlocked():
            own.stage_steps, own.steps = steps, sum(steps)
        return own

    first, second, third = STEPS
    train(config, tmp_path / "longer")
    train(changed(first, second, third + 15), tmp_path / "longer")
    train(changed(first, second, third + 15), tmp_path / "at_once")
    one, other = (state_of(tmp_path / x)[0] for x in ("longer", "at_once"))
    for x, y in zip(*map(jax.tree.leaves, (one, other)), strict=True):
        assert x.tobytes() == y.tobytes()
    with pytest.raises(ConfigError, match=f"stage 1 would have {first + 15} steps, no"):
        train(changed(first + 15, second, third), tmp_path / "longer")


@once
def test_a_finished_run_is_recognised(whole, config, capfd):
    workdir = whole(config)
    train(config, workdir)
    assert "already finished" in capfd.readouterr().err


def test_another_seed_is_another_run(tmp_path, whole, config):
    """So that the comparisons above could fail."""
    config.seed = 1
    train(config, tmp_path)
    config.seed = 0
    with pytest.raises(AssertionError):
        assert_same(tmp_path, whole(config))


def test_the_next_stage_is_made_ready_while_this_one_trains(config):
    config = configs.resolve(config, configs.load_data(config))
    every = Stages(config, configs.load_data(config))
    first = every.get(0)
    call, _ = every.start(0).result()
    every._next[1].result()  # in the background
    assert [t.name for t in threading.enumerate() if "ThreadPool" in t.name]
    began = time.perf_counter()
    second = every.get(1)
    call, _ = every.start(1).result()
    state = second.programs.init(0)
    second.programs.draw(state), second.programs.not_finite(state)
    assert time.perf_counter() - began < 0.5  # nothing of it is compiled here
    batch = next(pipeline.iterate(second.batches(0), 20, per_call=5))
    assert batch["image"].shape == (5, 4, 8, 8, 1)
    call(state, second.programs.put_batch(batch), second.programs.key(0))
    assert (first.first, first.last, second.first, second.last) == (0, 20, 20, 50)
    assert [every.examples(step) for step in (0, 20, 25, 60)] == [0, 160, 180, 300]
    assert [every.after(step) for step in (0, 15, 20, 25, 50, 60)] == [0, 0, 1, 1, 2, 2]
    every.close()


@pytest.mark.slow
def test_rolls_back_over_a_border(tmp_path, config, monkeypatch, capfd):
    """A NaN in stage 2, before its first checkpoint: the border's state goes on."""
    build_one = configs.build

    def spoiled(config, stage=0):
        gan = build_one(config, stage)
        d, g = gan.updates

        def loss(nets, batch, key, state):
            value, out = d.loss(nets, batch, key, state)
            here = (state.step == 23) & (key_of(key) == poison[0])
            return jnp.where(here, jnp.nan, value), out

        return dataclasses.replace(gan, updates=(dataclasses.replace(d, loss=loss), g))

    def key_of(key):
        return jax.random.key_data(key)[-1]

    stream_0 = jax.random.split(jax.random.fold_in(jax.random.key(0), 0))[1]
    poison = [key_of(jax.random.fold_in(jax.random.fold_in(stream_0, 23), 0))]
    monkeypatch.setattr(configs, "build", spoiled)
    config.on_nan = "stop"
    with pytest.raises(NotFinite, match="step 24"):
        train(config, tmp_path)
    assert Checkpoints(tmp_path, keep=None).steps() == [15, 20]
    config.on_nan = "rollback"
    train(config, tmp_path)
    assert "random stream 1" in capfd.readouterr().err
    streams = [state_of(tmp_path, step)[1]["stream"] for step in (20, 30, 60)]
    assert streams == [0, 1, 1]


@once
def test_the_best_checkpoint_is_one_of_the_last_stage(tmp_path, config, monkeypatch):
    """Scores at another resolution do not compare: the first, 0.9, is forgotten."""
    quality = {10: 0.9, 20: 0.8, 30: 0.2, 40: 0.5, 50: 0.4, 60: 0.1}
    best = {}

    def make_evaluate(gan, config, source, **options):
        def evaluate(state):
            value = quality[int(state.step)]
            return {"results": {"q": {"value": value, "better": "higher"}}}

        return evaluate

    def on_evaluation(step, values):
        if step < 60:
            best[step] = [*sorted(Checkpoints(tmp_path, keep=None).steps())]

    monkeypatch.setattr("experiments.evaluation.reports.make_evaluate", make_evaluate)
    config.evaluate_every, config.keep_checkpoints = 10, 1
    config.metrics = ("q",)
    train(config, tmp_path, on_evaluation=on_evaluation)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["best"] == {"step": 60, "metric": "q", "value": 0.1}
    assert best[20][0] == 10  # the best of the first stage was kept in it
    assert 40 in best[50] and 10 not in best[50]
    assert Checkpoints(tmp_path, keep=None).steps() == [60]


@once
@pytest.mark.parametrize(
    "at", [BORDERS[0], pytest.param(BORDERS[1], marks=pytest.mark.slow)]
)
def test_scores_that_a_kill_has_ended_at_a_border_are_those_of_the_stage_before(
    tmp_path, config, monkeypatch, at
):
    class Killed(BaseException):
        pass

    scored, kill = [], [at]

    def make_evaluate(gan, config, source, **options):
        def evaluate(state):
            step = int(state.step)
            if kill == [step]:
                raise Killed
            scored.append((step, config.resolution))
            side = float(source.shape[0])
            return {"results": {"side": {"value": side, "better": "higher"}}}

        return evaluate

    monkeypatch.setattr("experiments.evaluation.reports.make_evaluate", make_evaluate)
    config.evaluate_every, config.metrics = 10, ("side",)
    with pytest.raises(Killed):
        train(config, tmp_path)
    assert Checkpoints(tmp_path, keep=None).latest() == at
    kill.clear()
    train(config, tmp_path)
    sides = (4, 4, 8, 8, 8, 16)
    assert scored == [*zip(range(10, 61, 10), sides, strict=True)]
    found = [x for x in lines(tmp_path) if "eval/side" in x]
    assert [x["step"] for x in found] == [10, 20, 30, 40, 50, 60]


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"steps": 70}, "config.steps=70, but the 3 stages of .* have 60 steps"),
        ({"steps_per_call": 4}, "stage 2: step 50, .* config.steps_per_call=4"),
        (
            {"variant": "no_such.variant"},
            "config.variant: 'no_such.variant': there is no module",
        ),
        ({"stage_steps": (20, 40, 0)}, "steps=0 must be at least 1"),
    ],
)
def test_what_cannot_be_run_is_told_before_anything_is_written(
    tmp_path, config, changes, said
):
    config.update(changes)
    with pytest.raises(ConfigError, match=said):
        train(config, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_batches_that_devices_cannot_share_are_rejected(config, monkeypatch):
    config = configs.resolve(config, configs.load_data(config))
    monkeypatch.setattr(jax, "device_count", lambda: 4)
    with pytest.raises(ValueError, match="stage 3: batch_size=2 cannot be split"):
        Stages(config, configs.load_data(config))


def test_what_goes_wrong_in_the_background_ends_the_run_soon(
    tmp_path, config, monkeypatch
):
    load = configs.load_data

    def fails(config, resolution=None, **options):
        if resolution == 8:
            raise OSError("no such disk")
        return load(config, resolution, **options)

    monkeypatch.setattr(configs, "load_data", fails)
    with pytest.raises(ConfigError, match="stage 2: no such disk"):
        train(config, tmp_path)
    assert max(Checkpoints(tmp_path, keep=None).steps(), default=0) <= 20


CONFIG = """
from configs import gan

def get_config():
    config = gan.get_config("digits")
    config.variant = "my_variants.growing"
    config.resolution, config.batch_size, config.steps = 16, 8, 60
    config.steps_per_call = config.log_every = config.checkpoint_every = 5
    config.sample_every = config.diagnose_every = 60
    config.keep_checkpoints, config.metrics = 20, ()
    return config
"""


@pytest.mark.slow
def test_a_variant_outside_the_package_by_the_real_commands(tmp_path, whole, config):
    """`config.variant` is a dotted name; the process is killed in the second stage."""
    (tmp_path / "my_variants").mkdir()
    shutil.copy(__file__, tmp_path / "my_variants" / "growing.py")
    (tmp_path / "grow.py").write_text(CONFIG)
    root = pathlib.Path(__file__).parents[3]
    environ = os.environ | {"PYTHONPATH": f"{root}:{tmp_path}"}
    options = {"cwd": root, "env": environ, "stderr": subprocess.PIPE, "text": True}
    workdir, python = tmp_path / "run", [sys.executable, "-m"]
    command = [*python, "experiments.run", f"--config={tmp_path / 'grow.py'}"]
    command.append(f"--workdir={workdir}")

    killed = subprocess.Popen(command, **options)
    while max(Checkpoints(workdir, keep=None).steps(), default=0) < 25:
        assert killed.poll() is None, killed.communicate()[1]
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    done = subprocess.run(command, **options)
    assert done.returncode == 0 and "continuing after step" in done.stderr, done.stderr
    expected = whole(config)
    (state, extra), (last, _) = state_of(workdir, variant=__name__), state_of(expected)
    assert extra["stage"] == 2
    for x, y in zip(*map(jax.tree.leaves, (state.params, last.params)), strict=True):
        np.testing.assert_allclose(x, y, rtol=2e-3, atol=2e-4)

    # A picture of the second stage, which is half as wide as one of the third.
    sizes = []
    for step in (40, 60):
        out = tmp_path / f"{step}.npz"
        sample = ["experiments.sample", f"--workdir={workdir}", f"--out={out}", "--n=2"]
        done = subprocess.run([*python, *sample, f"--checkpoint={step}"], **options)
        assert done.returncode == 0, done.stderr
        sizes.append(np.load(out)["image"].shape)
    assert sizes == [(2, 8, 8, 1), (2, 16, 16, 1)]
