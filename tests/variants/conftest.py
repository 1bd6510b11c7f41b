"""Two steps of training by the authors' PyTorch code, and ours beside them."""

import functools
import json
import pathlib

import jax
import numpy as np
import pytest

from gans import core

FOLDER = pathlib.Path(__file__).parents[3] / "shared/reference/parity/image_translation"
# Little effort goes into compiling what runs a few times.
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def path_of(name):
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{name} is not in ../shared/reference/parity")
    return path


class TwoSteps:
    """A file of the authors' first two steps.

    Attributes:
      losses: of each step, {name: value}.
      batches: of each step, {"a", "b"}: [B, H, W, C] float64.
      shape: of an image.
    """

    def __init__(self, name):
        with np.load(path_of(f"{name}.npz")) as file:
            self._arrays = {k: file[k] for k in file.files}
        self.losses = json.loads(str(self._arrays["meta"]))["losses"]
        self.batches = [
            {
                side: np.moveaxis(
                    self._arrays[f"{side.upper()}{i}"].astype(np.float64), 1, -1
                )
                for side in "ab"
            }
            for i in range(2)
        ]
        self.shape = self.batches[0]["a"].shape[1:]

    def state(self, net):
        """The torch state dict of a network before the first step, float64."""
        prefix = f"w/{net}/"
        return {
            k.removeprefix(prefix): v.astype(np.float64)
            for k, v in self._arrays.items()
            if k.startswith(prefix)
        }

    def train(self, build, networks, *settings):
        """Yields (state, metrics of each step) after our two steps, in float64.

        The step of build(**numbers) is compiled once for the numbers of all settings.
        networks: {our name: (the authors' name, from_torch)}.
        """
        step = quick(lambda numbers, *args: core.make_step(build(**numbers))(*args))
        with jax.enable_x64(True):
            first = functools.partial(core.init, build(**settings[0]))
            shapes = jax.eval_shape(first, jax.random.key(0))
            # Adam and the pools begin with zeros.
            state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
            params, stats = {}, {}
            for name, (theirs, from_torch) in networks.items():
                variables = dict(from_torch(self.state(theirs))[1])
                params[name] = jax.tree.map(np.asarray, variables.pop("params"))
                stats[name] = jax.tree.map(np.asarray, variables)
            same = jax.tree.structure(state.params) == jax.tree.structure(params)
            assert same, (state.params, params)
            first = state.replace(params=params, stats=stats)
            for numbers in settings:
                state, metrics = first, []
                for batch in self.batches:
                    state, found = step(numbers, state, batch, jax.random.key(1))
                    metrics.append(jax.device_get(found))
                yield jax.device_get(state), metrics

    def error(self, state, networks):
        """The largest error of any parameter after the two steps.

        Compared are the first values of each array, its sum and its sum of squares.
        """
        worst = 0.0
        for name, (theirs, from_torch) in networks.items():
            before, places, n = self.state(theirs), {}, 1
            for key, x in before.items():
                places[key] = np.arange(n, n + x.size).reshape(x.shape)
                n += x.size
            ours = np.full(n, np.nan)
            marks = jax.tree.leaves(from_torch(places)[1]["params"])
            for at, x in zip(marks, jax.tree.leaves(state.params[name]), strict=True):
                ours[at] = x
            compared = 0
            for key, at in places.items():
                x = ours[at.ravel()]
                if np.isnan(x).any():  # biases that a norm removes, and statistics
                    continue
                expected = self._arrays[f"after/{theirs}/{key}"]
                found = np.concatenate([[x.sum(), (x**2).sum()], x[:254]])
                worst, compared = (
                    max(worst, np.abs(found - expected).max()),
                    (compared + 1),
                )
            assert compared >= len(marks) - 1
        return worst


@pytest.fixture(scope="session")
def two_steps():
    """two_steps(name) -> the authors' two steps; skips where the file is missing."""
    return functools.cache(TwoSteps)


@pytest.fixture(scope="session")
def rules():
    """Numbers of the authors' code: losses, rates by epoch, traces of the pool."""
    return json.loads(path_of("rules.json").read_text())


@pytest.fixture(scope="session")
def arrays():
    """arrays(name) -> the arrays of a file of theirs; skips where it is missing."""

    def load(name):
        with np.load(path_of(f"{name}.npz")) as file:
            return {k: file[k] for k in file.files}

    return load
