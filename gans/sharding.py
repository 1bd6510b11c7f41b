"""Sharing a step's work between devices."""

import jax
from jax import Array
from jax.sharding import PartitionSpec as P


def split(x: Array) -> Array:
    """Returns x [B, ...], split over the axis "batch" of the mesh in context.

    What a step draws itself must be split where it is drawn, or XLA computes all that
    follows from it whole on every device. Without such a mesh (`jax.set_mesh`), or with
    a B that it does not divide, x stays as it is.
    """
    mesh = jax.sharding.get_abstract_mesh()
    n = dict(mesh.shape).get("batch", 1)
    if n == 1 or len(x) % n:
        return x
    return jax.lax.with_sharding_constraint(x, P("batch"))
