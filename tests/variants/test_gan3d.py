"""3D-GAN: when its discriminator is updated, in one process and in two."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import config as configs
from experiments.contracts.trial import equal
from experiments.rundir.checkpoint import Checkpoints
from experiments.training.metric_buffer import MetricBuffer, NotFinite
from gans import core
from gans.data.spec import Field
from gans.variants import gan3d

KEY = jax.random.key(5)
# Little effort goes into compiling what runs a few times.
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)
LIMIT = 0.4  # which few volumes exceed often, and not always


def batch(i):
    """Boxes, which are easily told from what a first generator makes."""
    sides = 2 + jax.random.randint(jax.random.key(i), (4, 1, 1, 1, 1), 0, 4)
    inside = (jnp.indices((8, 8, 8)).max(0)[..., None] < sides) * 2.0 - 1
    return {"voxels": inside, "label": jnp.zeros(4, jnp.int32)}


@pytest.fixture(scope="module")
def trained(tiny):
    """(gan, step, states, metrics) of a discriminator that soon is right too often."""
    config = tiny("gan3d", accuracy_limit=LIMIT)
    config.generator.uniform = True
    config.discriminator.norm, config.discriminator.penalties = "batch", ()
    config.discriminator.kernel_init = "he"
    config.discriminator.optimizer.learning_rate = 0.005
    config.generator.optimizer.learning_rate = 0.02
    gan = configs.build(config)
    step = quick(core.make_step(gan))
    states, metrics = [quick(functools.partial(core.init, gan))(KEY)], []
    for i in range(12):
        state, found = step(states[-1], batch(i), KEY)
        states.append(state)
        metrics.append(found)
    return gan, step, states, metrics


def test_it_is_updated_where_it_was_right_in_so_few_cases(trained):
    gan, _, states, metrics = trained
    updated = [float(found["updated/d"]) for found in metrics]
    before = [float(state.aux["g_accuracy"]) for state in states[:-1]]
    assert updated == [float(x <= LIMIT) for x in np.float32(before)]
    assert 0.0 in updated and 1.0 in updated[1:], "held back, and not for ever"
    for i, due in enumerate(updated):
        same = equal(states[i].params["d"], states[i + 1].params["d"])
        assert same != bool(due), i
        assert equal(states[i].opt["d"], states[i + 1].opt["d"]) != bool(due)
        assert np.isfinite(metrics[i]["d/loss"]) == bool(due)
        assert metrics[i]["g/accuracy"] == states[i + 1].aux["g_accuracy"]


def test_accuracy_is_that_of_the_discriminator(trained):
    """Against the logits of the same passes, by hand."""
    gan, _, states, metrics = trained
    i = next(i for i, found in enumerate(metrics) if not found["updated/d"])
    # The discriminator stands still in this step, and the generator's fakes are of the
    # key of its update.
    key = jax.random.fold_in(jax.random.fold_in(KEY, i), 1)

    def logits(state):
        nets = core.bind(gan, state, train=True)
        key_g = jax.random.split(key, 5)[0]
        z = jax.random.normal(jax.random.split(key_g)[0], (4, 5))
        fake = nets["g"](z, batch(i)["label"])
        return nets["d"](batch(i)["voxels"]), nets["d"](fake)

    on_real, on_fake = quick(logits)(states[i])
    expected = np.mean([*(on_real > 0), *(on_fake < 0)])
    assert float(metrics[i]["g/accuracy"]) == pytest.approx(expected)


def test_a_run_goes_on_where_it_was_held_back(trained, tmp_path):
    gan, step, states, metrics = trained
    i = next(i for i, found in enumerate(metrics) if not found["updated/d"])
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(i, states[i], {})
    checkpoints.close()
    template = jax.eval_shape(functools.partial(core.init, gan), KEY)
    state, _ = Checkpoints(tmp_path, keep=1).restore(template)
    for j in range(i, len(metrics)):
        state, _ = step(state, batch(j), KEY)
    assert equal(state, states[-1])


def test_what_is_held_back_is_no_fault_and_what_is_not_finite_is(trained):
    gan, _, _, metrics = trained
    buffer = MetricBuffer(gan, 0)
    for found in metrics:
        buffer.add(found)
    buffer.fetch()
    share = np.mean([found["updated/d"] for found in metrics])
    assert buffer.means()["updated/d"] == pytest.approx(share)
    i = next(i for i, found in enumerate(metrics) if found["updated/d"])
    buffer.add({**metrics[i], "d/loss": np.float32(np.nan)})
    with pytest.raises(
        NotFinite, match=f"update 'd' is nan at step {len(metrics) + 1}"
    ):
        buffer.fetch()


def test_it_is_always_updated_without_a_limit(tiny):
    config = configs.override(tiny("gan3d"), {"accuracy_limit": 1.0})
    gan = configs.build(config)
    assert gan.updates[0].unless is None and not gan.aux


def test_what_does_not_fit(tiny):
    config = tiny("gan3d").to_dict()
    with pytest.raises(ValueError, match="the data have 'image' of kind 'image'"):
        gan3d.build(config, {"image": Field("image", (8, 8, 1), "uint8")})
    config = configs.override(tiny("gan3d"), {"loss": "wasserstein"})
    with pytest.raises(ValueError, match="accuracy_limit needs a loss"):
        configs.build(config)
