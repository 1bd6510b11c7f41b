"""Metrics of a model: `config.metrics` names files of gans/metrics."""

import functools

import jax
import numpy as np

from gans import core, names

BATCH = 500


def make_evaluate(gan: core.GAN, config, source):
    """Returns evaluate(state) -> {"eval/METRIC/QUANTITY": float}.

    It draws config.n_evaluate samples (by the EMA) from latents that are always the
    same. Raises ValueError for an unknown metric.
    """
    metrics = {
        name: names.module(name, "gans.metrics", "config.metrics")
        for name in config.metrics
    }
    draw = jax.jit(functools.partial(core.sample, gan))
    latents = jax.jit(gan.latents, static_argnums=1)

    def evaluate(state):
        found = {}
        samples = collect(draw, latents, state, config.n_evaluate)
        for name, module in metrics.items():
            for quantity, value in module.measure(samples, source).items():
                found[f"eval/{name}/{quantity}"] = value
        return found

    return evaluate if metrics else lambda state: {}


def collect(draw, latents, state, n: int) -> dict[str, np.ndarray]:
    """Returns {"image" or "point": [n, ...], "label": [n] if there are labels}."""
    parts, labels = [], []
    for i in range(-(-n // BATCH)):
        inputs = latents(jax.random.key(i), BATCH)
        parts.append(np.asarray(draw(state, inputs)))
        labels.append(np.asarray(inputs.get("label", ())))
    data = np.concatenate(parts)[:n]
    samples = {"image" if data.ndim == 4 else "point": data}
    if labels[0].size:
        samples["label"] = np.concatenate(labels)[:n]
    return samples
