"""TGAN: singular value clipping by the authors' numbers, when it is due; its arms."""

import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import config as configs
from gans import core
from gans.data.spec import Field
from gans.variants import tgan

KEY = jax.random.key(0)
FILE = pathlib.Path(__file__).parents[3] / "shared/reference/parity/tgan/tgan.npz"


@pytest.fixture(scope="module")
def reference():
    if not FILE.exists():
        pytest.skip(f"{FILE.name} is not in ../shared/reference/parity")
    with np.load(FILE) as file:
        return {name: file[name] for name in file.files}


def kernel(w):
    """The authors' [O, I, *K] as [*K, I, O]."""
    return np.moveaxis(w, (0, 1), (-1, -2))


@pytest.mark.parametrize("i", range(4))
def test_kernels_are_clipped_as_by_the_authors(reference, i):
    w, expected = (kernel(reference[f"svc/{i}/{x}"]) for x in ("in", "out"))
    # Of two spatial axes or three; a dense layer and a bias stay as they are.
    params = {"conv": {"kernel": w}, "dense": {"kernel": w[0, 0], "bias": w[0, 0, 0]}}
    found = tgan.clipped(params, {})
    np.testing.assert_allclose(found["conv"]["kernel"], expected, atol=1e-6)
    if w.ndim > 4:
        np.testing.assert_array_equal(found["dense"]["bias"], w[0, 0, 0])
    values = np.linalg.svd(w.reshape(-1, w.shape[-1]), compute_uv=False)
    meta = json.loads(str(reference["meta"]))["svc"][str(i)]["singular_in"]
    np.testing.assert_allclose(values, meta, rtol=1e-5)
    # The negative control: input channels by the rest.
    other = np.swapaxes(w, -1, -2)
    wrong = np.swapaxes(tgan.clipped({"k": other}, {})["k"], -1, -2)
    assert i == 2 or np.abs(wrong - expected).max() > 1e-3


def test_gains_are_clipped_by_the_running_deviation(reference):
    gain, variance = reference["gamma/in"], reference["gamma/avg_var"]
    norm = {"norm": {"batch": {"scale": gain}}}
    found = tgan.clipped(norm, {"norm": {"batch": {"var": variance}}})
    found = found["norm"]["batch"]["scale"]
    np.testing.assert_allclose(found, reference["gamma/out"], rtol=1e-6)
    assert np.abs(found - np.clip(gain, 0.01, 1)).max() > 1e-3


def largest(state):
    """The largest singular value of the critic's kernels of convolutions."""
    kernels = [x for x in jax.tree.leaves(state.params["d"]) if x.ndim >= 4]
    matrices = [np.reshape(x, (-1, x.shape[-1])) for x in kernels]
    return max(np.linalg.svd(x, compute_uv=False).max() for x in matrices)


@pytest.mark.slow
def test_it_is_due_in_each_fifth_step(tiny):
    config = tiny("tgan")
    config.discriminator.kernel_init = "he"
    config.discriminator.optimizer.learning_rate = 0.1
    gan = configs.build(config)
    state = jax.jit(functools.partial(core.init, gan))(KEY)
    step, found = jax.jit(core.make_step(gan)), []
    shape = config.spec.video.shape
    batch = {"video": jnp.tanh(jax.random.normal(KEY, (4, *shape)))}
    for _ in range(10):
        state, _ = step(state, batch, KEY)
        found.append(largest(state))
    clipped = [i for i, x in enumerate(found) if x <= 1 + 1e-5]
    assert clipped == [4, 9], found
    variance = state.stats["d"]["batch_stats"]["norm1"]["batch"]["var"]
    gain = state.params["d"]["norm1"]["batch"]["scale"]
    assert (gain <= np.sqrt(variance) + 1e-6).all()


def test_weights_are_clipped_instead(tiny):
    changes = {"singular_every": 0, "discriminator.optimizer.clip": 0.01}
    assert configs.build(configs.override(tiny("tgan"), changes)).after is None
    assert configs.build(tiny("tgan")).after is not None


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"singular_every": 0}, "Wasserstein loss needs singular_every, optimizer.cl"),
        ({"discriminator.optimizer.clip": 0.01}, "clip=0.01 clips weights, and singul"),
    ],
)
def test_what_it_needs(tiny, changes, message):
    config = configs.override(tiny("tgan"), changes)
    with pytest.raises(ValueError, match=message):
        configs.build(config)


def test_data_that_do_not_fit(tiny):
    image = {"image": Field("image", (8, 8, 1), "uint8")}
    with pytest.raises(ValueError, match="the data have 'image' of kind 'image'"):
        tgan.build(tiny("tgan").to_dict(), image)
    config = configs.override(tiny("tgan"), {"generator.condition": "concat"})
    clips = {"video": Field("video", (16, 8, 8, 1), "uint8")}
    with pytest.raises(ValueError, match="condition needs labels, and .* only video"):
        tgan.build(config.to_dict(), clips)


def test_labels_are_asked_for_and_given(tiny):
    """A conditional model's clips are of the classes in turn."""
    both = {f"{role}.condition": "concat" for role in ("generator", "discriminator")}
    gan = configs.build(configs.override(tiny("tgan"), both))
    state = jax.eval_shape(functools.partial(core.init, gan), KEY)
    inputs = gan.inputs(KEY, {"video": jnp.zeros((4, 1))})
    assert inputs["label"].tolist() == [0, 1, 2, 0]
    made = jax.eval_shape(functools.partial(core.sample, gan), state, inputs, KEY)
    assert made["video"].shape == (4, 16, 8, 8, 1)
    batch = {"video": jnp.zeros((4, 16, 8, 8, 1)), "label": jnp.zeros((4,), jnp.int32)}
    jax.eval_shape(core.make_step(gan), state, batch, KEY)
