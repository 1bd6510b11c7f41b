"""Ways to give a class label to a network."""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array


def check_label(
    label: Array | None,
    condition: str | None,
    n_classes: int | None,
    accepted: tuple[str, ...],
) -> None:
    """Raises ValueError unless `condition` is accepted and has what it needs.

    `label` is [B] int32 in 0 .. n_classes - 1.
    """
    if condition is None:
        return
    if condition not in accepted:
        raise ValueError(f"condition={condition!r}: this network knows {accepted}")
    if n_classes is None or label is None:
        raise ValueError(
            f"condition={condition!r} needs data with labels, got "
            f"n_classes={n_classes} and {'no' if label is None else 'a'} label"
        )


def embed_label(
    x: Array,
    label: Array | None,
    condition: str | None,
    n_classes: int | None,
    accepted: tuple[str, ...] = ("concat",),
    features: int = 50,
) -> Array:
    """x [B, N] -> [B, N + features], an embedding of the label appended.

    The conditioning of arXiv 1411.1784, section 3.1. x itself where `condition` is not
    "concat". Call it inside a compact module: it makes the parameter `label`.
    """
    check_label(label, condition, n_classes, accepted)
    if condition != "concat":
        return x
    e = nn.Embed(n_classes, features, name="label")(label)
    return jnp.concatenate([x, e.astype(x.dtype)], axis=-1)


def label_map(x: Array, label: Array, n_classes: int, features: int = 50) -> Array:
    """x [B, ..., H, W, C] -> [B, ..., H, W, C + 1]: the label as one more channel.

    It is embedded as an image, the same along all other axes. Call it inside a compact
    module: it makes the parameters `label`, `label_map`.
    """
    e = nn.Embed(n_classes, features, name="label")(label)
    height, width = x.shape[-3:-1]
    e = nn.Dense(height * width, name="label_map")(e)
    e = e.reshape(len(x), *(1,) * (x.ndim - 4), height, width, 1)
    e = jnp.broadcast_to(e, (*x.shape[:-1], 1))
    return jnp.concatenate([x, e.astype(x.dtype)], axis=-1)
