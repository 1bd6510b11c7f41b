"""Penalties on the gradient of a discriminator with respect to its inputs."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from gans import names
from gans.losses import penalties
from gans.terms.base import Term


def gradient_penalty(
    weight: float = 10.0,
    every: int = 1,
    one_sided: bool = False,
    target: float = 1.0,
) -> Term:
    """WGAN-GP, arXiv 1704.00028: at points between real and fake examples.

    target: of the gradient's norm, of which its share is compared with 1.
    """
    names.number(target, lambda x: x > 0, "gradient_penalty: target", "above 0")
    return _penalty(
        "gradient_penalty",
        lambda c: penalties.gradient_penalty(
            c.discriminate, c.real, c.fake, c.key, one_sided=one_sided, target=target
        ),
        weight,
        every,
    )


def dragan(weight: float = 10.0, every: int = 1) -> Term:
    """arXiv 1705.07215: around real examples."""
    return _penalty(
        "dragan",
        lambda c: penalties.dragan(c.discriminate, c.real, c.key),
        weight,
        every,
    )


def r1(weight: float = 10.0, every: int = 1) -> Term:
    """arXiv 1801.04406, equation 9, at real examples; `weight` is gamma."""
    return _penalty("r1", lambda c: penalties.r1(c.discriminate, c.real), weight, every)


def r2(weight: float = 10.0, every: int = 1) -> Term:
    """arXiv 1801.04406, equation 10, at generated examples; `weight` is gamma."""
    return _penalty("r2", lambda c: penalties.r2(c.discriminate, c.fake), weight, every)


def zero_centred(weight: float = 100.0, every: int = 1) -> Term:
    """arXiv 1902.03984: at points between real and fake examples, towards 0."""
    return _penalty(
        "zero_centred",
        lambda c: penalties.zero_centred(c.discriminate, c.real, c.fake, c.key),
        weight,
        every,
    )


def _penalty(name: str, of_each: Callable[..., Any], weight: float, every: int):
    """The mean over examples of a penalty [B]."""
    return Term(
        name=name,
        value=lambda context: jnp.mean(of_each(context)),
        weight=weight,
        every=every,
        per_example=True,
    )
