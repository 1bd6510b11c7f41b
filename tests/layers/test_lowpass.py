"""Filtered leaky ReLU: the authors' numbers, derivatives, and a radial filter."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.layers import lowpass

QUICK = {"xla_backend_optimization_level": 0}
CASES = range(5)


def error(ours, theirs):
    """The largest, as a share of the largest value."""
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def given(load, number):
    """(function, x, bias, the authors' result) of a case, channels last."""
    hyper, arrays = load("ops_filtered_lrelu")
    case = hyper["cases"][number]
    x = np.moveaxis(arrays["in/x"].astype(np.float64), 1, -1)
    bias = arrays["in/b"].astype(np.float64) if case.get("bias", True) else None
    filters = [None if case[k] == "none" else arrays[f"f/{case[k]}"]
               for k in ("fu", "fd")]  # fmt: skip
    options = {
        k: case[k] for k in ("up", "down", "gain", "slope", "clamp") if k in case
    }
    if "padding" in case:
        x0, x1, y0, y1 = case["padding"]
        options["pad"] = ((y0, y1), (x0, x1))

    def apply(x, bias, **changed):
        return lowpass.filtered_lrelu(x, bias, *filters, **options | changed)

    return apply, x, bias, np.moveaxis(arrays[f"out/{case['case']}"], 1, -1)


@pytest.mark.parametrize("number", CASES)
def test_the_authors_numbers(style_reference, number):
    with jax.enable_x64(True):
        apply, x, bias, theirs = given(style_reference, number)
        found = jax.jit(apply, compiler_options=QUICK)(x, bias)
        assert error(found, theirs) < 1e-8


def test_details_without_which_the_numbers_are_others(style_reference):
    with jax.enable_x64(True):
        apply, x, bias, theirs = given(style_reference, 1)
        for changed in ({"clamp": None}, {"slope": 0.1}, {"gain": 1.0}):
            made = jax.jit(functools.partial(apply, **changed), compiler_options=QUICK)
            assert error(made(x, bias), theirs) > 1e-3


@pytest.mark.slow
def test_the_gradient_is_the_slope(style_reference):
    """Of the function along a line; and again, of the gradient."""
    with jax.enable_x64(True):
        apply, x, bias, _ = given(style_reference, 0)
        keys = jax.random.split(jax.random.key(0), 4)
        way, turn, v = (jax.random.normal(k, x.shape) for k in keys[:3])

        def first(x):
            return jnp.sum(apply(jnp.sin(x), bias) * v)

        def second(x):
            return jnp.sum(jax.grad(first)(x) * turn)

        @functools.partial(jax.jit, compiler_options=QUICK)
        def both(x, way):
            values = first(x), second(x)
            return values, [jnp.sum(jax.grad(f)(x) * way) for f in (first, second)]

        h = 1e-6
        _, slopes = both(x, way)
        high, low = (both(x + step * way, way)[0] for step in (h, -h))
        assert np.allclose(np.subtract(high, low) / (2 * h), slopes, rtol=1e-5)


def test_a_radial_filter_is_the_same_in_all_directions():
    f = lowpass.jinc(12, 8.0, 8.0, 64)
    assert np.isclose(f.sum(), 1) and np.allclose(f, f.T) and np.allclose(f, f[::-1])

    def response(x, y):
        places = (np.arange(12) - 5.5) / 64
        waves = np.exp(2j * np.pi * (places[:, None] * y + places * x))
        return np.abs((f * waves).sum())

    along, across = response(10, 0), response(10 / 2**0.5, 10 / 2**0.5)
    assert abs(along - across) < 0.01 < 0.1 < along
    g = lowpass.kaiser(12, 8.0, 8.0, 64)  # a separable filter is not
    f = np.outer(g, g)
    assert abs(response(10, 0) - response(10 / 2**0.5, 10 / 2**0.5)) > 0.03
