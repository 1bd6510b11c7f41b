"""The game of two players by itself: no config, and what it rejects."""

import ast
import dataclasses
import functools
import re
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gans import augment, core, game, networks, terms
from gans.data.spec import Field
from gans.losses import adversarial
from gans.terms import gradient_penalties

KEY = jax.random.key(0)
SPEC = {"point": Field("point", (2,), "float32")}


def two_players(**changes):
    parts = {
        "generator": networks.make("Generator", "mlp", shape=(2,), widths=(8,)),
        "discriminator": networks.make("Discriminator", "mlp", widths=(8,)),
        "tx": {"g": optax.sgd(0.1), "d": optax.sgd(0.1)},
        "loss": adversarial.non_saturating(),
        "latent": 3,
        "spec": SPEC,
    }
    return game.Game(**parts | changes)


def test_the_example_of_its_docstring_trains():
    code = re.search(r"\n\n(    two = .*?)\n\n", game.__doc__, re.S).group(1)
    known = {
        **vars(jax), "jax": jax, "game": game, "core": core, "networks": networks,
        "optax": optax, "adversarial": adversarial, "Field": Field,
        "gradient_penalties": gradient_penalties,
    }  # fmt: skip
    code = textwrap.dedent(code)
    assert len(code.splitlines()) <= 11
    exec(code, known)
    gan, step = known["two"].gan(), known["step"]
    state = jax.jit(functools.partial(core.init, gan))(KEY)
    batch = {"point": jax.random.normal(KEY, (4, 2))}
    after, metrics = step(state, batch, KEY)
    assert np.isfinite(metrics["d/r1"]) and after.step == 1
    samples = core.sample(gan, after, gan.inputs(KEY, batch), KEY)
    assert samples["point"].shape == (4, 2)


def test_the_field_is_the_data_s():
    spec = {
        "b": Field("image", (8, 8, 1), "uint8"),
        "label": Field("label", (), "int32", 3),
    }
    two = two_players(
        spec=spec,
        generator=networks.make("Generator", "mlp", shape=(8, 8, 1), widths=(8,)),
    )
    gan = two.gan()
    state = jax.jit(functools.partial(core.init, gan))(KEY)
    batch = {"b": jnp.zeros((4, 8, 8, 1)), "label": jnp.zeros(4, jnp.int32)}
    _, metrics = jax.jit(core.make_step(gan))(state, batch, KEY)
    assert np.isfinite(metrics["d/saturated"])  # of images
    assert list(core.sample(gan, state, gan.inputs(KEY, batch), KEY)) == ["b"]


def test_the_label_is_found_by_its_kind():
    spec = SPEC | {"digit": Field("label", (), "int32", 3)}
    conditional = {"widths": (8,), "condition": "concat", "n_classes": 3}
    gan = two_players(
        spec=spec,
        generator=networks.make("Generator", "mlp", shape=(2,), **conditional),
        discriminator=networks.make("Discriminator", "mlp", **conditional),
    ).gan()
    state = jax.jit(functools.partial(core.init, gan))(KEY)
    step, point = jax.jit(core.make_step(gan)), jnp.zeros((4, 2))
    batches = [{"point": point, "digit": jnp.full(4, i, jnp.int32)} for i in (0, 1)]
    losses = [step(state, batch, KEY)[1]["d/loss"] for batch in batches]
    assert np.isfinite(losses).all() and losses[0] != losses[1]
    inputs = gan.inputs(KEY, batches[0]) | {"digit": batches[1]["digit"]}
    assert list(core.sample(gan, state, inputs, KEY)) == ["point"]


def test_a_network_of_one_s_own_needs_no_layers():
    """Any module with the signature will do."""
    from flax import linen as nn

    class Own(nn.Module):
        @nn.compact
        def __call__(self, x, label=None, *, train):
            return nn.Dense(1)(x)[:, 0]

    added = terms.make(("r1", "latent_consistency"), "discriminator")
    gan = two_players(discriminator=Own(), terms={"d": added}).gan()
    state = jax.jit(functools.partial(core.init, gan))(KEY)
    batch = {"point": jnp.ones((4, 2))}
    _, metrics = jax.jit(core.make_step(gan))(state, batch, KEY)
    assert np.isfinite(metrics["d/r1"]) and np.isfinite(metrics["d/latent_consistency"])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"latent": 0}, "latent=0 must be a number of at least 1"),
        ({"label_flip": 2.0}, r"label_flip=2.0 must be a number in \[0, 1\]"),
        ({"augments": (augment.make("ada"),)}, "ada is for data of kind image"),
        (
            {"augments": (augment.make("instance_noise"),) * 2},
            "augment: each at most once",
        ),
        (
            {
                "top_k": lambda step: 0.5,
                "loss": adversarial.relativistic_pairing(),
            },
            "top_k ranks",
        ),
        (
            {"terms": {"d": terms.make(("consistency",), "discriminator")}},
            "consistency is for data of kind image, not 'point'",
        ),
    ],
)
def test_incompatible_parts_are_rejected(changes, message):
    two_players()
    with pytest.raises(ValueError, match=message):
        two_players(**changes)


def test_errors_name_no_config():
    """They name the part and its option; the caller adds the place."""
    import pathlib

    root = pathlib.Path(game.__file__).parent
    for path in root.rglob("*.py"):
        source = path.read_text()
        strings = (
            part.value
            for raised in ast.walk(ast.parse(source))
            if isinstance(raised, ast.Raise | ast.Call)
            for part in ast.walk(raised)
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        )
        found = [x for x in strings if re.search(r"\bconfig\.[a-z]", x)]
        assert not found, f"{path}: {found}"


def test_updates_follow_the_algorithm():
    two = two_players(
        n_critic=3, terms={"d": (gradient_penalties.r1(weight=1.0, every=4),)}
    )
    names = [update.name for update in two.updates]
    assert names == ["d", "g", "d_r1"]
    due = [i for i in range(9) if two.updates[1].when(jnp.int32(i))]
    assert due == [2, 5, 8]
    lazy = [i for i in range(9) if two.updates[2].when(jnp.int32(i))]
    assert lazy == [3, 7]
    changed = dataclasses.replace(two, n_critic_changes=((5, 1),))
    assert [u.name for u in changed.updates] == names
    orthogonal = terms.make(({"name": "orthogonal", "every": 2},), "generator")
    with pytest.raises(ValueError, match="n_critic changes during training"):
        _ = dataclasses.replace(changed, terms={"g": orthogonal}).updates
