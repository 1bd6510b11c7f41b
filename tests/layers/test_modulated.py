"""Modulated convolutions: the authors' numbers, derivatives, and 16 bits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.layers import fir
from gans.layers.conv import conv
from gans.layers.modulated import modulated_conv

QUICK = {"xla_backend_optimization_level": 0}
STORED = 2**-29  # half a unit of the authors' numbers, which have 28 bits


def last(x):
    return np.moveaxis(np.asarray(x, np.float64), 1, -1)


def error(ours, theirs):
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def compiled(f, *args):
    return jax.device_get(jax.jit(f, compiler_options=QUICK)(*args))


def operation(case):
    if case.get("up"):
        return fir.upsample_conv
    if case.get("down"):
        return fir.downsample_conv
    return functools.partial(conv, padding=case.get("padding", 0))


def ours(case, arrays):
    """Those of StyleGAN3 differ by a gain of the input, and by eps."""
    x, style = last(arrays["in/x"]), arrays["in/styles"]
    w = np.moveaxis(arrays[f"in/{case['w']}"], (0, 1), (-1, -2))
    w = w if case.get("flip_weight", True) else w[::-1, ::-1]
    w, demodulate = jnp.asarray(w), case.get("demodulate", True)
    gain = arrays[f"in/{case['input_gain']}"] if "input_gain" in case else 1.0
    if case["version"] == "stylegan3" and demodulate:
        w = w / jnp.sqrt((w**2).mean((0, 1, 2)))
        style = style / np.sqrt((style**2).mean())
    y = modulated_conv(
        x * gain, w, style, demodulate=demodulate, operation=operation(case)
    )
    return y + last(arrays["in/noise_06"]) if case.get("noise") else y


def test_the_authors_numbers(style_reference):
    hyper, arrays = style_reference("ops_modulated_conv2d")
    arrays = {k: np.asarray(v, np.float64) for k, v in arrays.items()}
    with jax.enable_x64(True):
        found = compiled(lambda: {c["case"]: ours(c, arrays) for c in hyper["cases"]})
        for case in hyper["cases"]:
            theirs = last(arrays[f"out/{case['case']}"])
            assert error(found[case["case"]], theirs) < STORED, case
        first = hyper["cases"][0]
        theirs = last(arrays["out/00"])
        for change in ({"demodulate": False}, {"flip_weight": False}):
            other = compiled(lambda change=change: ours(first | change, arrays))
            assert error(other, theirs) > 1e-2


def arguments(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s) for s in ((2, 4, 6, 3), (3, 3, 3, 2), (2, 3))]


def own_kernels(x, w, style):
    """Equations 1 and 3, image by image."""
    made = []
    for image, s in zip(x, style, strict=True):
        kernel = w * s[:, None]
        norm = jnp.sqrt((kernel**2).sum((0, 1, 2)) + 1e-8)
        made.append(conv(image[None], kernel / norm))
    return jnp.concatenate(made)


@pytest.mark.parametrize(
    "operation",
    [conv, fir.upsample_conv, fir.downsample_conv],
    ids=lambda f: f.__name__,
)
def test_derivatives_are_those_of_differences(operation):
    """Of sum(y^3) and, once more, of the squared norm of its gradient in the style."""

    def value(x, w, style):
        return (modulated_conv(x, w, style, operation=operation) ** 3).sum()

    def penalty(x, w, style):
        return (jax.grad(value, 2)(x, w, style) ** 2).sum()

    def both(*args):
        return [f(*args) for f in (value, penalty)]

    args, steps = arguments(0), arguments(1)

    def slopes(*args):
        grads = [jax.grad(f, (0, 1, 2))(*args) for f in (value, penalty)]
        return [
            sum((a * b).sum() for a, b in zip(g, steps, strict=True)) for g in grads
        ]

    with jax.enable_x64(True):
        h, run = 1e-5, jax.jit(both, compiler_options=QUICK)
        ends = [
            run(*(a + s * h * b for a, b in zip(args, steps, strict=True)))
            for s in (1, -1)
        ]
        differences = [(a - b) / (2 * h) for a, b in zip(*ends, strict=True)]
        found = compiled(slopes, *args)
    np.testing.assert_allclose(found, differences, rtol=1e-6)


def test_images_are_scaled_in_place_of_kernels():
    with jax.enable_x64(True):
        found, expected = compiled(
            lambda *args: (modulated_conv(*args), own_kernels(*args)), *arguments()
        )
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_torch_has_the_same_derivatives():
    torch = pytest.importorskip("torch")
    x, w, style = arguments()

    def plain(x, w, style):
        """A kernel for each image, all images in one grouped convolution."""
        n, c, height, width = x.shape
        kernels = w[None] * style[:, None, :, None, None]
        kernels = kernels / (kernels.pow(2).sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
        kernels = kernels.reshape(-1, c, *w.shape[2:])
        x = x.reshape(1, -1, height, width)
        y = torch.nn.functional.conv2d(x, kernels, padding=1, groups=n)
        return y.reshape(n, -1, height, width)

    args = [np.moveaxis(x, -1, 1), np.moveaxis(w, (-1, -2), (0, 1)), style]
    args = [torch.tensor(np.ascontiguousarray(v), requires_grad=True) for v in args]
    value = (plain(*args) ** 3).sum()
    (slope,) = torch.autograd.grad(value, args[2], create_graph=True)
    theirs = [g.numpy() for g in torch.autograd.grad((slope**2).sum(), args)]
    theirs[0], theirs[1] = last(theirs[0]), np.moveaxis(theirs[1], (0, 1), (-1, -2))

    def penalty(*args):
        def value(style):
            return (modulated_conv(*args[:2], style) ** 3).sum()

        return (jax.grad(value)(args[2]) ** 2).sum()

    with jax.enable_x64(True):
        found = compiled(jax.grad(penalty, (0, 1, 2)), x, w, style)
    for a, b in zip(found, theirs, strict=True):
        assert error(a, b) < 1e-9


def test_16_bits_keep_the_scale_of_any_style():
    """Styles and kernels of any size give outputs of the same size."""
    x, w, style = (jnp.asarray(a, jnp.float32) for a in arguments())
    exact = modulated_conv(x, w, style)
    for scale in (1.0, 1e-6, 1e20):
        args = x.astype(jnp.bfloat16), w * scale, style * scale
        found = modulated_conv(*args)
        assert found.dtype == jnp.bfloat16
        assert error(found.astype(jnp.float32), exact) < 0.02
