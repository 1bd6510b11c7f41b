"""Arrays that a step draws are split over the mesh in context, if there is one."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh

from gans import sharding


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
