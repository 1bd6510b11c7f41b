"""Arrays that a step draws are split over the mesh in context, if there is one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType, Mesh

from gans import sharding, terms
from gans.augment.instance_noise import instance_noise
from gans.losses.penalties import dragan


def traced(x, mesh=None):
    """The names of the primitives of `split` of x."""
    call = jax.make_jaxpr(sharding.split)
    if mesh is None:
        found = call(x)
    else:
        with jax.sharding.use_abstract_mesh(mesh):
            found = call(x)
    return [equation.primitive.name for equation in found.eqns]


def abstract(n, name="batch"):
    return AbstractMesh((n,), (name,), axis_types=(AxisType.Auto,))


def test_without_a_mesh_it_is_the_identity():
    x = jnp.ones((4, 2))
    assert sharding.split(x) is x
    assert traced(x) == []
    with jax.set_mesh(Mesh(np.array(jax.devices()[:1]), ("batch",))):
        assert sharding.split(x) is x


def test_over_a_mesh_it_is_a_constraint():
    assert traced(jnp.ones((4, 2)), abstract(4)) == ["sharding_constraint"]
    # Not over another axis, nor where the devices do not divide the batch.
    assert traced(jnp.ones((4, 2)), abstract(4, "replica")) == []
    assert traced(jnp.ones((6, 2)), abstract(4)) == []


KEY = jax.random.key(0)


def near(x):
    """The neighbours of z that consistency draws, and what is made of them."""
    term = terms.make(("latent_consistency",), "discriminator")[0]
    context = terms.Context(
        name="d",
        net=None,
        step=None,
        discriminate=lambda x, as_fake: x.sum(1),
        generate=lambda z, key: 2 * z,
        z=x,
        key=KEY,
        on_fake=x.sum(1),
    )
    return term.value(context)


@pytest.mark.parametrize(
    "drawn, times",
    [
        (lambda x: instance_noise(x, KEY, 0.1), 1),
        (functools.partial(dragan, lambda x: (x**2).sum(1), key=KEY), 1),
        (near, 2),
    ],
)
def test_noise_as_large_as_its_input_is_split_where_it_is_drawn(drawn, times):
    x = jnp.ones((4, 2))
    text = str(jax.make_jaxpr(drawn)(x))
    assert "sharding_constraint" not in text
    with jax.sharding.use_abstract_mesh(abstract(4)):
        text = str(jax.make_jaxpr(drawn)(x))
    assert text.count("sharding_constraint[") == times
