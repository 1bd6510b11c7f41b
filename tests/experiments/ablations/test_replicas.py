"""The pictures of an ablation's replicas."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.ablations import replicas
from gans.data.source import InMemory
from gans.data.spec import Field


def test_how_many_samples_are_drawn_depends_on_the_kinds():
    image, label = Field("image", (8, 8, 1), "uint8"), Field("label", (), "int32", 3)
    assert replicas.n_drawn({"a": image, "b": image, "label": label}) == 36
    assert replicas.n_drawn({"image": Field("point", (2,), "float32")}) == 2048
    assert replicas.n_drawn({"image": image, "point": Field("point", (2,), "f4")}) > 36


@pytest.mark.parametrize(
    "made, wanted",
    [
        ({"sample": {"image": jnp.zeros((4, 8, 8, 1))}}, "samples/base_3.png"),
        ({"a_to_b": {"image": jnp.zeros((4, 8, 8, 1))}}, "samples/base_3_a_to_b.png"),
        ({"score": {"score": jnp.zeros(4)}}, None),
    ],
)
def test_a_record_names_the_picture_that_was_drawn(made, wanted, tmp_path, monkeypatch):
    source = InMemory("x", {"image": np.zeros((4, 8, 8, 1), np.uint8)})

    class Drawing:
        given = {}

        def __call__(self, state):
            return made

    samplers = types.SimpleNamespace(drawing=lambda **_: Drawing())
    monkeypatch.setattr(replicas, "Samplers", lambda *_: samplers)
    monkeypatch.setattr(replicas, "replica", lambda state, i: state)
    trained = object.__new__(replicas.Replicas)
    arm = types.SimpleNamespace(digest="abc")
    trained.program = types.SimpleNamespace(
        names=[("base", 3)], arms=[arm], replicas=[(0, 3)]
    )
    trained.seeds, trained.sources, trained.gan = [3], {3: source}, None
    trained._config_of = lambda seed: None
    story = {"curve": [[]], "curves": [[]], "diverged": [None]}
    (record,) = trained._records({}, story, tmp_path / "samples")
    assert record["samples"] == wanted
    assert wanted is None or (tmp_path / wanted).exists()
