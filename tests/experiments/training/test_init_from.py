import dataclasses
import functools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import experiments
from experiments import config as configs
from experiments.config import ConfigError
from experiments.rundir.checkpoint import Checkpoints
from experiments.training import init_from
from experiments.training.loop import train
from gans import core, data
from gans.metrics.scores import frechet

pytestmark = pytest.mark.usefixtures("compiled_once")


def shapes(config):
    """The GAN of a config, and the shapes of its first state."""
    gan = configs.build(config)
    init = functools.partial(core.init, gan)
    return gan, jax.eval_shape(init, jax.random.key(0))


def filled(template, value):
    return jax.tree.map(lambda x: np.full(x.shape, value, x.dtype), template)


def all_are(tree, value):
    return all((x == value).all() for x in jax.tree.leaves(tree))


def test_weights_statistics_and_averages_are_taken(tiny):
    gan, template = shapes(tiny("sngan"))
    there = filled(template, 2).replace(ema=filled(template.ema, 3))
    assert jax.tree.leaves(there.stats["d"])  # the vectors of spectral normalisation
    assert jax.tree.leaves(there.stats["g"])  # the statistics of batch normalisation
    got = init_from.take(gan, there, filled(template, 7).replace(step=np.int32(0)))
    assert all_are(got.params, 2) and all_are(got.stats, 2) and all_are(got.ema, 3)
    assert got.step == 0 and jax.tree.structure(got) == jax.tree.structure(template)
    match = init_from.match(there, template)
    assert match.taken == match.wanted > 0 and match.rest == {}
    assert match.lines() == [f"taken: {match.taken:,} of {match.taken:,} parameters"]


def test_optimisers_and_other_arrays_start_anew(tiny):
    gan, template = shapes(tiny("gan", "circle"))
    aux = {"mean": jnp.zeros(()), "copy": lambda params: params["g"]}
    gan = dataclasses.replace(gan, aux=aux)
    there = filled(template, 2).replace(aux={"mean": np.float32(5)})
    got = init_from.take(gan, there, filled(template, 7))
    assert got.aux["mean"] == 0 and all_are(got.aux["copy"], 2)
    assert jax.tree.leaves(got.opt) and all_are(got.opt, 0)


def test_an_average_that_is_not_there_begins_at_the_weights(tiny):
    gan, template = shapes(tiny("gan", "circle"))
    there = filled(template, 2).replace(ema={})
    got = init_from.take(gan, there, filled(template, 7))
    assert got.ema.keys() == {"g"} and all_are(got.ema, 2)


@pytest.mark.parametrize(
    "there, here, rest",
    [
        (
            {},
            {"side": (16, 16, 3)},
            {
                "params/d/conv0/kernel": ((4, 4, 1, 8), (4, 4, 3, 8)),
                "params/g/out/bias": ((1,), (3,)),
                "params/g/out/kernel": ((3, 3, 8, 1), (3, 3, 8, 3)),
            },
        ),
        (  # the generator starts from a larger map, and the discriminator ends with it
            {},
            {"side": (32, 32, 1)},
            {
                "params/d/out/kernel": ((128, 1), (512, 1)),
                "params/g/dense/bias": ((128,), (512,)),
                "params/g/dense/kernel": ((5, 128), (5, 512)),
            },
        ),
        (
            {"variant": "gan", "preset": "circle"},
            {"variant": "gan", "preset": "circle", "latent": 7},
            {"params/g/dense0/kernel": ((5, 8), (7, 8))},
        ),
    ],
)
def test_what_differs_is_listed_with_both_shapes(tiny, there, here, rest):
    pair = []
    for changes in (there, here):
        names = {"variant": "wgan_gp", "preset": "digits", "side": None} | changes
        side = names.pop("side")
        config = tiny(names.pop("variant"), names.pop("preset"), **names)
        if side:
            config.spec.image.shape = config.shape = side
        pair.append(shapes(config))
    (_, source), (gan, template) = pair
    match = init_from.match(source, template)
    assert match.rest == rest
    assert 0 < match.taken < match.wanted
    name, (before, now) = next(iter(rest.items()))
    line = f"  {name}: {'x'.join(map(str, before))}, {'x'.join(map(str, now))}"
    assert line in match.lines()
    got = init_from.take(gan, filled(source, 2), filled(template, 7))
    for path, x in jax.tree_util.tree_leaves_with_path(got.params):
        name = "params/" + jax.tree_util.keystr(path, simple=True, separator="/")
        assert (x == (7 if name in rest else 2)).all(), name


def test_other_numbers_of_classes_share_all_but_what_belongs_to_a_class(tiny):
    ours, theirs = (shapes(tiny("cgan", n_classes=n))[1] for n in (3, 5))
    match = init_from.match(theirs, ours)
    assert match.taken > 0 and match.rest
    for there, here in match.rest.values():
        assert (there[0], here[0]) == (5, 3)


def test_layers_of_only_one_side_are_absent_on_the_other():
    def state(**params):
        arrays = {k: np.zeros(n, np.float32) for k, n in params.items()}
        return core.State(np.int32(0), {"g": arrays}, {}, {}, {}, {})

    names = {f"extra{i:02}": 2 for i in range(12)}
    match = init_from.match(state(a=3, old=1), state(a=3, **names))
    assert match.rest["params/g/old"] == ((1,), None)
    assert match.rest["params/g/extra00"] == (None, (2,))
    said = match.lines()
    assert said[:2] == [
        "taken: 3 of 27 parameters",
        "not taken: 13 arrays (shape there, shape here)",
    ]
    assert said[2] == "  params/g/extra00: absent, 2" and len(said) == 13
    assert said[-1] == "  and 3 more, see run.json"


def test_nothing_in_common_is_an_error(tiny):
    _, points = shapes(tiny("gan", "circle"))
    _, images = shapes(tiny("wgan_gp"))
    with pytest.raises(ValueError, match=r"no parameter .* there: d, g; here: d, g"):
        init_from.match(points.replace(params={"d": {}, "g": {}}), images)


def test_a_checkpoint_is_named_after_a_colon(tmp_path):
    odd = tmp_path / "run:2"
    odd.mkdir()
    for given, folder, checkpoint in (
        (f"{tmp_path}", tmp_path, "last"),
        (f"{tmp_path}:best", tmp_path, "best"),
        (f"{tmp_path}:300", tmp_path, "300"),
        (f"{odd}", odd, "last"),
        (f"{odd}:best", odd, "best"),
    ):
        wanted = {"workdir": str(folder), "checkpoint": checkpoint}
        assert init_from.record_of(given) == wanted


@pytest.fixture(scope="module")
def settings(tiny):
    return functools.partial(
        tiny,
        "gan",
        "circle",
        steps=20,
        steps_per_call=5,
        log_every=10,
        sample_every=20,
        checkpoint_every=10,
        keep_checkpoints=10,
        metrics=(),
        n_critic=1,
    )


@pytest.fixture(scope="module")
def source(settings, tmp_path_factory):
    """A run that has learned something."""
    workdir = tmp_path_factory.mktemp("source")
    changes = {"steps_per_call": 100, "log_every": 500, "batch_size": 64}
    changes |= {"sample_every": 1000, "checkpoint_every": 500}
    train(settings(steps=1000, **changes), workdir)
    return workdir


@pytest.fixture(scope="module")
def tuned(settings, source, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("tuned")
    train(settings(), workdir, init_from=str(source))
    return workdir


def state_of(workdir, step):
    _, template = shapes(configs.from_json((workdir / "config.json").read_text()))
    return Checkpoints(workdir, keep=None).restore(template, step)[0]


def same(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(x.tobytes() == y.tobytes() for x, y in pairs)


def test_a_new_run_starts_where_the_other_ended(source, tuned):
    start, end = state_of(tuned, 0), state_of(source, 1000)
    assert start.step == 0
    for field in ("params", "stats", "ema"):
        assert same(getattr(start, field), getattr(end, field))
    first = (tuned / "samples" / "step_00000000.png").read_bytes()
    assert first == (source / "samples" / "step_00001000.png").read_bytes()
    record = json.loads((tuned / "run.json").read_text())["init_from"]
    assert record["workdir"] == str(source) and record["step"] == 1000
    assert record["taken"] == record["wanted"] and record["rest"] == {}
    assert not same(state_of(tuned, 20).params, start.params)


def test_at_step_0_it_is_better_than_from_scratch(settings, tuned, tmp_path):
    train(settings(), tmp_path)
    real = data.load("circle").take(np.arange(2000))["point"]
    models = experiments.load(tmp_path, 10), experiments.load(tuned, 0)
    drawn = [np.asarray(x.sample(2000, seed=0)["point"]) for x in models]
    scratch, taken = (frechet.distance_of_features(real, x) for x in drawn)
    assert taken < scratch / 2


def test_it_continues_without_the_flag_and_bit_for_bit(settings, tuned, tmp_path):
    """Also if it was killed before its own first checkpoint."""
    killed = tmp_path / "killed"
    shutil.copytree(tuned, killed)
    for step in (10, 20):
        shutil.rmtree(killed / "checkpoints" / str(step))
    train(settings(), killed)
    assert same(state_of(killed, 20), state_of(tuned, 20))
    assert json.loads((killed / "run.json").read_text())["init_from"]["step"] == 1000


def test_the_same_flag_may_be_given_again(settings, source, tuned, capfd):
    train(settings(), tuned, init_from=f"{source}:last")
    assert "already finished" in capfd.readouterr().err
    with pytest.raises(ConfigError, match="has checkpoints of its own already"):
        train(settings(), tuned, init_from=f"{source}:500")
    with pytest.raises(ConfigError, match="has checkpoints of its own already"):
        train(settings(), source, init_from=str(tuned), allow_config_change=True)


@pytest.mark.parametrize(
    "suffix, said",
    [
        (":best", "no evaluation chose one"),
        (":bset", "wanted last, best or a step"),
        (":7", "no checkpoint of step 7; it has [500, 1000]"),
        ("/nothing", "no run there"),
    ],
)
def test_a_run_that_cannot_be_read(settings, source, tmp_path, suffix, said):
    given = f"{source}{suffix}"
    with pytest.raises(ConfigError) as caught:
        train(settings(), tmp_path / "new", init_from=given)
    assert str(caught.value).startswith(f"--init-from={given}: ")
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()
