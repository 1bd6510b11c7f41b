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
_CALLS = ("jit", "pjit", "closed_call")  # these only call a program


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
        if _name(eqn, inner) in RELUS:
            relu = _bound(eqn, jax.lax.stop_gradient(given))
            found = [_gate(given[0], *relu)]
        elif eqn.primitive.name in _CALLS and inner is not None:
            found = _run(inner.jaxpr, inner.consts, given)
        else:
            found = _bound(eqn, given)
        known |= dict(zip(eqn.outvars, found, strict=True))
    return [x.val if hasattr(x, "val") else known[x] for x in jaxpr.outvars]


def _name(eqn, inner):
    """The name of the function that an equation calls, perhaps by way of another."""
    if "name" in eqn.params or inner is None:
        return eqn.params.get("name")
    eqns = inner.jaxpr.eqns  # `jax.nn.relu` is a custom_jvp of a jit
    return eqns[0].params.get("name") if len(eqns) == 1 else None


def _bound(eqn, given):
    """The results of an equation, as a list."""
    bound = eqn.primitive.get_bind_params(eqn.params)
    # Older versions of JAX return the functions that are called beside the rest.
    functions, params = bound if isinstance(bound, tuple) else ((), bound)
    found = eqn.primitive.bind(*functions, *given, **params)
    return found if eqn.primitive.multiple_results else [found]
