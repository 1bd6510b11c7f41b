"""Guided backpropagation (Springenberg et al., arXiv 1412.6806), of any network.

The gradient of an activation by the image, in which every ReLU passes only what is
positive, forward and backward: what speaks for the activation, and nothing against it.
ReLUs are found in the traced program, by their names there, so no network has to know.

Leaky ReLUs pass what is positive alone, too (the paper knows none). Other activations
keep their gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

RELUS = {jax.nn.relu.__name__, jax.nn.leaky_relu.__name__}


@jax.custom_vjp
def _gate(x: Array, y: Array) -> Array:
    """y, the ReLU of x."""
    return y


_gate.defvjp(
    lambda x, y: (y, x > 0),
    lambda positive, g: (jnp.where(positive, jnp.maximum(g, 0), 0), jnp.zeros_like(g)),
)


def guided(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the same function of arrays, whose derivatives are guided."""

    def apply(*args):
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*args)
        found = _run(closed.jaxpr, closed.consts, jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shape), found)

    return apply


def _run(jaxpr, consts, args):
    """The results of a traced program, as `jax.core.eval_jaxpr` has them."""
    known = dict(zip(jaxpr.constvars, consts, strict=True))
    known |= dict(zip(jaxpr.invars, args, strict=True))
    for eqn in jaxpr.eqns:
        given = [x.val if hasattr(x, "val") else known[x] for x in eqn.invars]
        inner = eqn.params.get("jaxpr") or eqn.params.get("call_jaxpr")
        subfuns, params = eqn.primitive.get_bind_params(eqn.params)
        if _name(eqn) in RELUS:
            found = eqn.primitive.bind(
                *subfuns, *jax.lax.stop_gradient(given), **params
            )
            found = [_gate(given[0], *_listed(eqn, found))]
        elif _entered(eqn, inner):
            found = _run(inner.jaxpr, inner.consts, given)
        else:
            found = _listed(eqn, eqn.primitive.bind(*subfuns, *given, **params))
        known |= dict(zip(eqn.outvars, found, strict=True))
    return [x.val if hasattr(x, "val") else known[x] for x in jaxpr.outvars]


def _listed(eqn, found):
    return found if eqn.primitive.multiple_results else [found]


def _name(eqn):
    """The name of the function that an equation calls, or None."""
    return eqn.params.get("name")


def _entered(eqn, inner):
    """Whether an equation only calls a program, in which there may be ReLUs."""
    return eqn.primitive.name in ("jit", "pjit", "closed_call") and inner is not None
