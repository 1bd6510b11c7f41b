"""Projection of an image into W or W+: the optimisation.

Karras et al., arXiv 1912.04958, appendix D. Beside w, the planes of the generator's
noise are optimised; a regulariser keeps them from holding the image. Beyond the paper,
w may be free for each layer (W+, arXiv 1904.03189), and the distance is any that
`distances.find` knows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

LEARNING_RATE = 0.1
RAMP_UP, RAMP_DOWN = 0.05, 0.25  # shares of the steps
NOISE, NOISE_RAMP = 0.05, 0.75  # on w, in its deviations; the share of the steps it has
REGULARISER = 1e5
SMALLEST = 8  # pixels, of a plane's pyramid


class Free(NamedTuple):
    """What is optimised: w [1, w_dim] (W) or [n_ws, w_dim] (W+), planes of noise."""

    w: Array
    noise: Any


class Progress(NamedTuple):
    """After some steps: their number, `Free`, the image [H, W, C], and its distance."""

    step: int
    free: Free
    image: np.ndarray
    distance: float


def learning_rate(t: Array) -> Array:
    """The learning rate at t, the share of the steps that are done, [...] -> [...].

    It rises linearly in the first 5 %, from 0, and falls by a cosine in the last 25 %.
    """
    down = jnp.minimum(1.0, (1 - t) / RAMP_DOWN)
    down = 0.5 - 0.5 * jnp.cos(jnp.pi * down)
    return LEARNING_RATE * down * jnp.minimum(1.0, t / RAMP_UP)


def noise_on_w(t: Array) -> Array:
    """The deviation of the noise that is added to w at t, in deviations of w."""
    return NOISE * jnp.maximum(0.0, 1 - t / NOISE_RAMP) ** 2


def regulariser(noise: Any) -> Array:
    """How far planes [H, W] are from white noise, summed; [].

    The squares of their autocorrelations with the next pixel to the right and below, at
    every size of a pyramid of 2x2 means down to 8 pixels.
    """
    total = jnp.zeros(())
    for n in jax.tree.leaves(noise):
        while True:
            for axis in (0, 1):
                total += jnp.mean(n * jnp.roll(n, 1, axis)) ** 2
            if min(n.shape) <= SMALLEST:
                break
            h, w = (side // 2 for side in n.shape)
            n = n[: 2 * h, : 2 * w].reshape(h, 2, w, 2).mean((1, 3))
    return total


def normalised(noise: Any) -> Any:
    """The planes [H, W], each shifted to mean 0 and scaled to mean square 1."""

    def plane(n):
        n = n - n.mean()
        return n * jax.lax.rsqrt(jnp.mean(n**2))

    return jax.tree.map(plane, noise)


def first(
    key: Array, w_avg: np.ndarray, n_free: int, planes: Any
) -> tuple[Free, optax.OptState]:
    """Returns the mean w [n_free, w_dim] with planes of noise, and Adam's state."""
    leaves, tree = jax.tree.flatten(planes)
    keys = jax.random.split(key, max(len(leaves), 1))
    drawn = [
        jax.random.normal(k, np.shape(x)) for k, x in zip(keys, leaves, strict=False)
    ]
    w = jnp.tile(jnp.asarray(w_avg, jnp.float32), (n_free, 1))
    free = Free(w, normalised(jax.tree.unflatten(tree, drawn)))
    return free, _adam(1).init(free)


def _adam(steps):
    return optax.adam(lambda i: learning_rate(i / steps), b1=0.9, b2=0.999)


class Projector:
    """Projects one image after the other, by one compiled program.

    Args:
      render: (variables, ws [1, n_ws, w_dim], planes) -> images [1, H, W, C].
      variables: of `render`, the generator's.
      embed: (its variables, images [1, H, W, C] in [-1, 1]) -> [1, D]; the distance is
        the squared one of these.
      embedder: the variables of `embed`.
      n_ws: latents of an image.
      w_avg, w_std: mean [w_dim] and deviation of w.
      steps: of Adam.
    """

    def __init__(
        self,
        render: Callable[[Any, Array, Any], Array],
        variables: Any,
        embed: Callable[[Any, Array], Array],
        embedder: Any,
        *,
        n_ws: int,
        w_avg: np.ndarray,
        w_std: float,
        steps: int,
    ):
        self._variables, self._embedder = variables, embedder
        self.n_ws, self.w_avg, self.w_std, self.steps = n_ws, w_avg, w_std, steps

        def rendered(variables, w, noise):
            ws = jnp.broadcast_to(w, (n_ws, w.shape[1]))[None]
            return render(variables, ws, noise)

        @functools.partial(jax.jit, donate_argnums=(2, 3))
        def step(variables, embedder, free, opt, target, key, t):
            scale = w_std * noise_on_w(t)
            drawn = scale * jax.random.normal(key, free.w.shape)

            def loss(free):
                images = rendered(variables, free.w + drawn, free.noise)
                far = jnp.sum((embed(embedder, images) - target) ** 2)
                return far + REGULARISER * regulariser(free.noise)

            delta, opt = _adam(steps).update(jax.grad(loss)(free), opt)
            free = optax.apply_updates(free, delta)
            return free._replace(noise=normalised(free.noise)), opt

        @jax.jit
        def measured(variables, embedder, free, target):
            image = jnp.clip(rendered(variables, *free), -1, 1)
            return image[0], jnp.sum((embed(embedder, image) - target) ** 2)

        self._step, self._measured = step, measured
        self._embed = jax.jit(embed)

    def __call__(
        self,
        image: np.ndarray,
        planes: Any,
        *,
        seed: int = 0,
        each_layer: bool = False,
        shown: tuple[int, ...] = (),
    ) -> Iterator[Progress]:
        """Yields the progress before the first step, after those `shown`, and at last.

        image: [H, W, C] in [-1, 1]. planes: whose shapes the noise has. each_layer:
        w is free for each layer (W+), in place of one for all (W).

        Raises FloatingPointError if the distance is no longer finite.
        """
        target = self._embed(self._embedder, jnp.asarray(image)[None])
        key_planes, key = jax.random.split(jax.random.key(seed))
        n_free = self.n_ws if each_layer else 1
        free, opt = first(key_planes, self.w_avg, n_free, planes)
        for i in range(self.steps + 1):
            if i in (0, self.steps, *shown):
                yield self._progress(i, free, target)
            if i < self.steps:
                free, opt = self._step(
                    self._variables,
                    self._embedder,
                    free,
                    opt,
                    target,
                    jax.random.fold_in(key, i),
                    i / self.steps,
                )

    def _progress(self, step, free, target):
        made = self._measured(self._variables, self._embedder, free, target)
        image, distance = map(np.asarray, made)
        if not np.isfinite(distance):
            raise FloatingPointError(f"the distance is {distance} after {step} steps")
        kept = jax.tree.map(np.array, free)  # copies: the next step takes the buffers
        return Progress(step, kept, image, float(distance))
