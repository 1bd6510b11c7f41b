"""The pipeline and the controller against numbers of the authors' code, in float64."""

import functools
import itertools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from gans.augment import adaptive, pipeline
from gans.augment.pipeline import bands, colour, geometry

FOLDER = pathlib.Path(__file__).parents[4] / "shared/reference/parity/style"
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)
# One program for each set of transformations; all tests of this file are in float64.
run = quick(
    lambda x, draws, p, names: pipeline.apply(x, draws, dict(names), p),
    static_argnames="names",
)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@functools.cache
def arrays(name):
    path = FOLDER / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"{path.name} is not in ../shared/reference/parity/style")
    with np.load(path) as file:
        return {key: file[key] for key in file}


def cases(name):
    path = FOLDER / f"{name}.npz"
    if not path.exists():
        return []
    return json.loads(str(arrays(name)["hyper"]))["cases"]


def last(x):
    """[B, C, H, W] -> [B, H, W, C] in float64."""
    return np.moveaxis(np.float64(x), 1, 3)


def strengths_of(enabled):
    found = {name: 1.0 for name in enabled if name != "rotate"}
    if "rotate" in enabled:
        found |= {name: 1.0 for name in pipeline.GROUPS["rotate"]}
    return {name: found[name] for name in pipeline.TRANSFORMS if name in found}


def at_quantile(q, strengths, n, pixels=None):
    """Draws with which every value is at the quantile of the authors' debugging mode.

    Their normal values are erfinv(2q - 1) deviations, erfinv(q) for the noise.
    """
    draws = {}
    for name in strengths:
        transform = pipeline.TRANSFORMS[name]
        value = q
        if transform.draw is not pipeline.geometry.uniform:
            value = scipy.special.erfinv(q if name == "noise" else 2 * q - 1)
        if name == "rotate_after":
            value = 0.5  # no turn
        coins = np.zeros((n, *transform.coins))
        draws[name] = np.full((n, *transform.shape), value), coins
    return draws | ({} if pixels is None else {"pixels": pixels})


def error(found, expected):
    """The largest, of the range of images, which is 2."""
    return np.abs(np.asarray(found)[: len(expected)] - expected).max() / 2


def debugged(file, case):
    """(found, expected, whether it is resampled) of a case of the debugging mode.

    Two programs do all cases: coins switch off what a case does not use.
    """
    held, name = arrays(file), case["case"]
    used = strengths_of(case["enabled"])
    x = last(held["in/images"])
    pixels = np.zeros_like(x)
    if "noise" in used:
        kept = last(held[f"noise/{name}"])
        pixels[: len(kept)] = kept
    resampled = bool(used.keys() & geometry.TRANSFORMS)
    every = {
        name: 1.0
        for name in pipeline.TRANSFORMS
        if resampled or name not in geometry.TRANSFORMS
    }
    draws = at_quantile(case["percentile"], every, len(x), pixels)
    for one in every.keys() - used.keys():
        draws[one] = draws[one][0], draws[one][1] + 1
    found = run(x, draws, 1.0, names=tuple(every.items()))
    return found, last(held[f"out/{name}"]), resampled


def test_filters():
    held = arrays("aug_filters")
    np.testing.assert_allclose(geometry.LOW_PASS, held["Hz_geom"], atol=1e-8)
    np.testing.assert_allclose(bands.BANK, held["Hz_fbank"], atol=1e-7)
    np.testing.assert_allclose(bands.POWER, held["expected_power"], rtol=1e-12)
    np.testing.assert_allclose(bands.BANK.sum(0), np.eye(1, 43, 21)[0], atol=1e-9)
    assert np.abs(geometry.LOW_PASS[::-1] - held["Hz_geom"]).max() > 0.01


@pytest.mark.parametrize("file", ["aug_debug_32", "aug_debug_grey_24x32"])
def test_each_at_given_quantiles(file):
    arrays(file)  # skips where there is none
    found, expected = {}, {}
    for case in cases(file):
        name = case["case"]
        found[name], expected[name], resampled = debugged(file, case)
        most = 5e-6 if resampled else 1e-8  # the authors' margin is another
        assert error(found[name], expected[name]) < most, name
    # Another quantile is another image, but of flips that do nothing at both.
    differ = [
        error(found[one], expected[other]) > 1e-3
        for one, other in itertools.pairwise(found)
        if one.split("_")[0] == other.split("_")[0]
    ]
    assert np.mean(differ) > 0.9


def recorded(held, case):
    """The draws of a case, which were recorded in the order taken."""
    prefix = f"draw/{case['case']}/"
    taken = iter(np.float64(held[key]) for key in held if key.startswith(prefix))
    kwargs, draws, strengths = case["kwargs"], {}, {}
    for name in pipeline.TRANSFORMS:
        own = name.partition("_")[0]
        if own not in kwargs:
            continue
        strengths[name] = kwargs[own]
        transform = pipeline.TRANSFORMS[name]
        if name == "imgfilter":
            pairs = [(next(taken), next(taken)) for _ in range(bands.BANDS)]
            value, coin = (np.stack(x, axis=1) for x in zip(*pairs, strict=True))
        elif name == "cutout":
            coin, value = next(taken), next(taken)
        else:
            value, coin = next(taken), next(taken)
        if name == "noise":
            draws["pixels"] = last(next(taken))
        n = len(value)
        draws[name] = (
            value.reshape(n, *transform.shape),
            coin.reshape(n, *transform.coins),
        )
    assert next(taken, None) is None
    return draws, strengths


def test_recorded_draws():
    held = arrays("aug_random_32")
    x = last(held["in/images"])
    for case in cases("aug_random_32"):
        name, p = case["case"], case["p"]
        draws, strengths = recorded(held, case)

        def every(x, draws, p, strengths=strengths):
            values = {key: draws[key][0] for key in strengths}
            fired = {
                key: draws[key][1] < pipeline.TRANSFORMS[key].chance(strengths[key] * p)
                for key in strengths
            }
            inverse = geometry.inverse(values, fired, 32, 32)
            colours = colour.matrix(values, fired)[:, :3]
            moved = geometry.resample(x, inverse)
            return inverse, colours, moved, pipeline.apply(x, draws, strengths, p)

        inverse, colours, moved, found = quick(every)(x, draws, p)
        np.testing.assert_allclose(inverse, held[f"G_inv/{name}"], atol=1e-6)
        np.testing.assert_allclose(colours, held[f"C/{name}"][:, :3], atol=1e-6)
        assert error(moved, last(held[f"geom/{name}"])) < 5e-6
        assert error(found, last(held[f"out/{name}"])) < 5e-6, name
        assert error(found[::-1], last(held[f"out/{name}"])) > 0.1


def test_gradient():
    held = arrays("aug_gradient")
    x, v = last(held["in/images"]), last(held["in/v"])
    strengths = pipeline.parse("bgcf", "")
    draws = at_quantile(0.3, strengths, len(x))

    def both(x, v):
        found, back = jax.vjp(lambda x: pipeline.apply(x, draws, strengths, 1.0), x)
        return found, back(v)[0]

    found, gradient = quick(both)(x, v)
    assert error(found, last(held["out/images"])) < 5e-6
    expected = last(held["out/grad"])
    assert np.abs(gradient - expected).max() < 5e-6 * np.abs(expected).max()


def test_the_controller():
    held = arrays("schedules_style")

    def body(p, r_t):
        p = adaptive.adapt(p, r_t, 4 * 64)
        return p, p

    run = quick(lambda r: jax.lax.scan(body, jnp.zeros(()), r)[1])
    expected = held["out/ada_p_batch64"]
    np.testing.assert_allclose(run(held["in/ada_rt"]), expected, atol=1e-12)
    assert np.abs(run(-held["in/ada_rt"]) - expected).max() > 1e-3
