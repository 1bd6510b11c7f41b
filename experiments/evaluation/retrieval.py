"""Two encoders that learn from real images and their sentences, to judge others."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict
from tqdm import tqdm

from experiments import process
from experiments.evaluation import cache
from gans.data import kinds
from gans.losses import joint
from gans.networks.joint import Pictures, Words

STEPS, BATCH, RATE, FEATURES, WIDTH = 2000, 64, 1e-3, 128, 24
Arrays = Mapping[str, np.ndarray]


class Retrieval:
    """The encoders, which learn when they are first needed, or are kept from before.

    They are those of `gans.networks.joint`, trained by the structured joint embedding
    on the training set, independently of any GAN.

    Args:
      source: the training set; image, said: its fields of images and of sentences.
      name: of the data.
    """

    def __init__(self, source: Any, image: str, said: str, name: str):
        self._source, self._image, self._said, self._name = source, image, said, name
        field = source.spec[said]
        self._modules = {
            "pictures": Pictures(FEATURES, WIDTH),
            "words": Words(field.n_classes, FEATURES),
        }
        self._decode = kinds.of(source.spec[image]).decode

    @functools.cached_property
    def protocol(self) -> dict[str, Any]:
        """What the judgement depends on."""
        content = hashlib.sha256()
        for path, x in sorted(flatten_dict(self._params, sep="/").items()):
            content.update(path.encode() + np.asarray(x).tobytes())
        return {
            "encoders": content.hexdigest(),
            "trained_on": self._name,
            "training_steps": STEPS,
            "n_train": len(self._source),
        }

    def of_images(self, images: np.ndarray) -> np.ndarray:
        """Returns vectors [N, D] of images as the data store them, [N, H, W, C]."""
        return self._in_parts("pictures", lambda x: self._decode(x), images)

    def of_sentences(self, sentences: np.ndarray) -> np.ndarray:
        """Returns vectors [N, D] of sentences int32 [N, T]."""
        return self._in_parts("words", jnp.asarray, sentences)

    def _in_parts(self, name, prepare, x):
        @jax.jit
        def encode(params, x):
            return self._modules[name].apply(
                {"params": params}, prepare(x), train=False
            )

        params = self._params[name]
        parts = range(0, len(x), 256)
        return np.concatenate([encode(params, x[i : i + 256]) for i in parts])

    @functools.cached_property
    def _params(self):
        spec, shape = self._source.spec, self._source.spec[self._image].shape
        field = spec[self._said]
        said = [self._name, shape, field.names, STEPS, BATCH, RATE, FEATURES, WIDTH]
        key = hashlib.sha256(repr(said).encode())
        every = range(0, len(self._source), 256)
        parts = [
            self._source.take(np.arange(i, min(i + 256, len(self._source))))
            for i in every
        ]
        data = {x: np.concatenate([p[x] for p in parts]) for x in parts[0]}
        for name in (self._image, self._said):
            key.update(np.ascontiguousarray(data[name]))
        folder = process.cache_folder() / "classifiers"
        path = folder / f"retrieval-{key.hexdigest()[:32]}.npz"
        arrays = cache.read(path)
        if arrays is None:
            params = self._train(data[self._image], data[self._said])
            arrays = flatten_dict(jax.device_get(params), sep="/")
            cache.keep(path, arrays)
        return unflatten_dict(arrays, sep="/")

    def _train(self, images, sentences):
        keys = jax.random.split(jax.random.key(0), 3)
        first = {"pictures": self._decode(images[:1]), "words": sentences[:1, 0]}
        params = {
            name: module.init(key, first[name], train=True)["params"]
            for (name, module), key in zip(self._modules.items(), keys, strict=False)
        }
        tx = optax.adamw(optax.cosine_decay_schedule(RATE, STEPS), weight_decay=1e-2)

        def loss(params, x, said):
            vectors = {
                "pictures": self._decode(x),
                "words": said,
            }
            vectors = {
                name: module.apply({"params": params[name]}, vectors[name], train=True)
                for name, module in self._modules.items()
            }
            scores = vectors["pictures"] @ vectors["words"].T
            same = (said[:, None] == said[None]).all(axis=-1)
            return joint.structured(scores, same)

        @functools.partial(jax.jit, donate_argnums=(0, 1))
        def step(params, opt, x, said):
            updates, opt = tx.update(jax.grad(loss)(params, x, said), opt, params)
            return optax.apply_updates(params, updates), opt

        random, opt = np.random.default_rng(0), tx.init(params)
        there = np.maximum((sentences[..., 0] > 0).sum(axis=1), 1)
        bar = tqdm(
            range(STEPS), desc=f"encoders of {self._name}", disable=None, leave=False
        )
        for _ in bar:
            rows = random.integers(len(images), size=BATCH)
            chosen = random.integers(there[rows])
            shifts = random.integers(-2, 3, size=2)
            x = np.roll(images[rows], shifts, axis=(1, 2))
            params, opt = step(params, opt, x, sentences[rows, chosen])
        return params
