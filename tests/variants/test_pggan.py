"""PGGAN: the promises of its last stage, labels, and what is refused."""

import jax
import pytest

from experiments import config as configs
from experiments.contracts import promises, trial
from experiments.contracts.trial import random_batch
from gans import core
from gans.data import spec as specs


@pytest.mark.slow
def test_the_last_stage_keeps_its_promises(tiny):
    config = tiny("pggan", first_resolution=4)
    gan, own = configs.build(config, 1), configs.of_stage(config, 1)
    assert own.resolution == 8
    spec = specs.from_json(own.spec.to_dict())

    def batch(i):
        return random_batch(spec, own.batch_size, jax.random.key(i))

    begun = trial.begin(own, gan, batch)
    for promise in (promises.is_finite, *promises.OF_NUMBERS[:4]):
        assert list(promise(begun)) == []


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"steps": 3}, "steps=3 are over before the networks are grown"),
        ({"batch_size": 6}, "its group does not divide batch_size=6: group=4"),
        ({"conditional": True, "n_classes": None}, "conditional=True needs labels"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_compiles(
    tiny, changes, said
):
    config = tiny("pggan", first_resolution=4, **changes)
    with pytest.raises(ValueError, match=said):
        for i in range(len(configs.stages(config))):
            configs.build(config, i)


def test_labels_go_to_both_networks(tiny):
    config = tiny("pggan", first_resolution=4, conditional=True)
    for player in (config.generator, config.discriminator):
        player.penalties = (*player.penalties, {"name": "auxiliary_classifier"})
    gan = configs.build(config, 1)
    own = configs.of_stage(config, 1)
    batch = random_batch(specs.from_json(own.spec.to_dict()), own.batch_size)
    state = jax.eval_shape(lambda key: core.init(gan, key), trial.KEY)
    _, metrics = jax.eval_shape(core.make_step(gan), state, batch, trial.KEY)
    assert {"g/auxiliary_classifier", "d/auxiliary_classifier"} <= {*metrics}
    assert state.params["g"]["dense"]["layer"]["kernel"].shape[0] == 5 + 3
    assert state.params["d"]["out"]["layer"]["kernel"].shape[1] == 1 + 3
