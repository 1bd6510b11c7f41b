"""Each promise is seen to be broken where it is: the negative controls of the contract.

That the shipped variants keep all of them is tested in tests/variants/test_contract.py.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from ml_collections import ConfigDict

from experiments.contracts import promises, report, trial
from gans.core import GAN, Net, Out, Update
from gans.data import spec as specs
from gans.data.spec import Field

SPEC = {"point": Field("point", (2,), "float32")}
CONFIG = ConfigDict({"spec": specs.to_json(SPEC), "metrics": ()})


class Linear(nn.Module):
    """x [B, N] -> [B, n], and a batch statistic."""

    n: int

    @nn.compact
    def __call__(self, x, *, train):
        seen = self.variable("batch_stats", "mean", jnp.zeros, ())
        if train and not self.is_initializing():
            seen.value = x.mean()
        return nn.Dense(self.n)(x)


def fake(nets, n, key):
    return nets["g"](jax.random.normal(key, (n, 3)))


def loss_of_d(nets, batch, key, state):
    x = batch["point"]
    logits, stats = nets["d"].mutate(fake(nets, len(x), key))
    return logits.mean() - nets["d"](x).mean(), Out({"one": 1.0}, stats={"d": stats})


def loss_of_g(nets, batch, key, state):
    return -nets["d"](fake(nets, len(batch["point"]), key)).mean(), Out()


def sample(nets, inputs, key):
    return {"point": nets["g"](inputs["z"])}


GAME = GAN(
    nets={
        "g": Net(Linear(2), (jnp.zeros((1, 3)),), optax.sgd(0.1)),
        "d": Net(Linear(1), (jnp.zeros((1, 2)),), optax.sgd(0.1)),
    },
    updates=(
        Update("d", ("d",), loss_of_d),
        Update("g", ("g",), loss_of_g, lambda step: step % 2 == 1),
    ),
    inputs=lambda key, batch: {"z": jax.random.normal(key, (len(batch["point"]), 3))},
    outputs={"sample": sample},
)


def batch(step):
    return trial.random_batch(SPEC, 8, jax.random.key(step))


@pytest.fixture(scope="module")
def kept():
    return trial.begin(CONFIG, GAME, batch)


def faults(promise, kept, **changes):
    """What a promise says of a trial, of which something is changed."""
    return list(promise(dataclasses.replace(kept, **changes)))


def changed(**changes):
    return dataclasses.replace(GAME, **changes)


def test_a_good_variant_keeps_all(kept):
    assert len(kept.metrics) == 3, "g is due in the second step, and there is one more"
    for promise in promises.PROMISES:
        try:
            assert list(promise(kept)) == [], promise
        except promises.Skipped as skipped:
            assert promise in (
                promises.networks_fit_the_game,
                promises.devices_agree,
                promises.metrics_are_measured,
            ), skipped


def test_compilations(kept):
    (fault,) = faults(promises.compiles_once, kept, compilations=2)
    assert fault.startswith("2 compilations")


def test_what_is_not_finite(kept):
    metrics = [{**kept.metrics[0], "d/one": np.float32(np.nan)}, *kept.metrics[1:]]
    (fault,) = faults(promises.is_finite, kept, metrics=metrics)
    assert fault == "d/one is nan in step 0"
    metrics = [{**kept.metrics[0], "g/loss": np.float32(1)}, *kept.metrics[1:]]
    (fault,) = faults(promises.is_finite, kept, metrics=metrics)
    assert fault == "g/loss is 1.0 in step 0; wanted is NaN, as it is not due"
    params = jax.tree.map(lambda x: x * np.inf, kept.states[-1].params)
    states = [*kept.states[:-1], kept.states[-1].replace(params=params)]
    (fault,) = faults(promises.is_finite, kept, states=states)
    assert fault.endswith("and 3 other arrays after 3 steps: not finite")


def test_numbers_that_are_not_finite_are_one_failure(kept):
    metrics = [{**x, "d/loss": np.float32(np.nan)} for x in kept.metrics]
    params = jax.tree.map(lambda x: x * np.nan, kept.states[-1].params)
    states = [*kept.states[:-1], kept.states[-1].replace(params=params)]
    lost = dataclasses.replace(kept, metrics=metrics, states=states)
    lines = [report.line_of(promise, lost) for promise in promises.PROMISES]
    (failed,) = [line for line in lines if line.startswith("FAILED")]
    assert failed == "FAILED  Losses and states are finite: d/loss is nan in step 0"


def test_metrics_of_other_shapes(kept):
    metrics = [{"d/all": np.zeros(3, np.float32), "d/n": np.int32(1)}]
    found = faults(promises.metrics_are_numbers, kept, metrics=metrics)
    assert found == ["d/all is float32 [3]", "d/n is int32 []"]


def test_a_network_that_does_not_learn(kept):
    states = [kept.states[0], kept.states[0]]
    found = faults(promises.every_network_learns, kept, states=states)
    assert [x.partition(" ")[0] for x in found] == ["g", "d"]


def test_an_update_that_changes_another_network(kept):
    def loss(nets, batch, key, state):
        _, stats = nets["g"].mutate(jnp.ones((8, 3)))
        return loss_of_d(nets, batch, key, state)[0], Out(stats={"g": stats})

    gan = changed(updates=(Update("d", ("d",), loss), GAME.updates[1]))
    (fault,) = faults(promises.updates_keep_apart, kept, gan=gan)
    assert fault.startswith("d changes stats of g (") and "test_promises.py" in fault
    never = dataclasses.replace(GAME.updates[1], when=lambda step: step < 0)
    gan = changed(updates=(GAME.updates[0], never))
    (fault,) = faults(promises.updates_keep_apart, kept, gan=gan)
    assert fault == "g is changed in step 1, where no update of it is due"


@pytest.mark.parametrize(
    "made, said",
    [
        (lambda x: {"point": x[:, :1]}, "sample: point is float32 [4, 1], not float32"),
        (lambda x: {"point": x.astype("bfloat16")}, "point is bfloat16 [4, 2], not"),
        (lambda x: {"point": 0 * x}, "sample: point: all samples are the same"),
        (lambda x: {"points": x}, "sample: none of the data's fields point"),
    ],
)
def test_outputs_that_are_not_like_the_data(kept, made, said):
    outputs = {"sample": lambda *args: made(sample(*args)["point"])}
    (fault,) = faults(promises.outputs_are_data, kept, gan=changed(outputs=outputs))
    assert said in fault


def test_an_output_may_have_fields_of_its_own_beside_others(kept):
    outputs = {"score": lambda *args: {"score": sample(*args)["point"][:, 0]}}
    (fault,) = faults(promises.outputs_are_data, kept, gan=changed(outputs=outputs))
    assert fault == "score: none of the data's fields point"
    gan = changed(outputs=outputs | {"sample": sample})
    assert faults(promises.outputs_are_data, kept, gan=gan) == []


def test_images_out_of_range(kept):
    spec = {"point": Field("image", (2, 1, 1), "uint8")}
    outputs = {"sample": lambda *x: {"point": 9 * sample(*x)["point"][..., None, None]}}
    gan = changed(outputs=outputs)
    (fault,) = faults(promises.outputs_are_data, kept, spec=spec, gan=gan)
    assert fault.startswith("sample: point is in [") and "not in [-1.0, 1.0]" in fault


def test_a_step_that_depends_on_more_than_its_arguments(kept):
    counter = itertools.count()

    def loss(nets, batch, key, state):
        value, out = loss_of_d(nets, batch, key, state)
        return value * next(counter), out

    gan = changed(updates=(Update("d", ("d",), loss), GAME.updates[1]))
    (fault,) = faults(promises.steps_repeat, kept, gan=gan)
    assert "more than its arguments" in fault


def test_a_state_that_is_not_restored(kept, monkeypatch):
    restore = promises.Checkpoints.restore

    def other(self, template):
        state, extra = restore(self, template)
        return state.replace(params=jax.tree.map(lambda x: x + 1, state.params)), extra

    monkeypatch.setattr(promises.Checkpoints, "restore", other)
    assert faults(promises.states_are_restored, kept) == ["another state"]


def test_metrics_that_fail(kept):
    config = ConfigDict({**CONFIG, "metrics": ("a", "b")})
    found = {"failed": {"a": "no weights"}, "results": {"b": {"value": np.nan}}}
    found = faults(
        promises.metrics_are_measured, kept, config=config, evaluate=lambda _: found
    )
    assert found == ["a: no weights", "b is nan"]


def test_the_line_of_a_promise(kept):
    def broken(trial):
        """It holds. And more.

        Much more.
        """
        raise RuntimeError("first\nsecond")
        yield

    (line,) = report.line_of(broken, kept).splitlines()
    assert line == "FAILED  It holds. And more: RuntimeError: first second"

    def many(trial):
        """It holds."""
        yield from map(str, range(9))

    assert report.line_of(many, kept) == "FAILED  It holds: 0; 1; 2; ..."

    def none(trial):
        """It holds."""
        raise promises.Skipped("no way")
        yield

    assert report.line_of(none, kept) == "skipped It holds: no way"
