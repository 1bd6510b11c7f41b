"""Filters: the authors' numbers, derivatives, and the same by torch's plain parts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.layers import fir
from gans.layers.conv import conv

QUICK = {"xla_backend_optimization_level": 0}
STORED = 2**-29  # half a unit of the authors' numbers, which have 28 bits


def last(x):
    """Channels first to channels last."""
    return np.moveaxis(np.asarray(x, np.float64), 1, -1)


def error(ours, theirs):
    """The largest, as a share of the largest value."""
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def compiled(f, *args):
    return jax.device_get(jax.jit(f, compiler_options=QUICK)(*args))


def swapped(pair):
    """The authors write x before y."""
    return pair if isinstance(pair, int) else tuple(pair[::-1])


def pads(padding):
    if isinstance(padding, int):
        return padding
    if len(padding) == 2:
        return swapped(padding)
    before, after, *y = padding
    return tuple(y), (before, after)


def options(args):
    names = {"padding": "pad", "flip_filter": "flip"}
    kept = {names.get(k, k): v for k, v in args.items()}
    for k in {"up", "down"} & kept.keys():
        kept[k] = swapped(kept[k])
    return kept | {"pad": pads(kept.get("pad", 0))}


OPERATORS = {
    "upfirdn2d": fir.upfirdn,
    "filter2d": fir.blur,
    "upsample2d": fir.upsample,
    "downsample2d": fir.downsample,
}


def test_the_authors_filters(style_reference):
    hyper, arrays = style_reference("ops_upfirdn2d")
    filters = {"none": [1.0]} | {
        name.removeprefix("f/"): np.asarray(f, np.float64)
        for name, f in arrays.items()
        if name.startswith("f/")
    }

    def all_cases(x):
        return {
            case["case"]: OPERATORS[case["op"]](
                x, filters[case["filter"]], **options(case["args"])
            )
            for case in hyper["cases"]
        }

    with jax.enable_x64(True):
        found = compiled(all_cases, last(arrays["in/x"]))
        for case in hyper["cases"]:
            theirs = last(arrays[f"out/{case['case']}"])
            # The authors multiply taps by a gain in float32, not always exactly.
            bound = 1e-7 if case["case"] in ("06", "20") else STORED
            assert error(found[case["case"]], theirs) < bound, case
        # Correlation is another operator where a filter is not symmetric, and one more
        # zero before is another phase.
        x, f = last(arrays["in/x"]), filters["asym2d"]
        case = next(c for c in hyper["cases"] if c["case"] == "03")
        given = options(case["args"])
        for change in ({"flip": True}, {"pad": ((4, -1), (1, 2))}):
            other = fir.upfirdn(x, f, **given | change)
            assert error(np.asarray(other), last(arrays["out/03"])) > 1e-2
    assert len(found) == 25


def resampled(case, x, w, f):
    """A convolution with resampling, by our operators."""
    w = jnp.asarray(np.moveaxis(w, (0, 1), (-1, -2)))
    w = w if case.get("flip_weight", True) else w[::-1, ::-1]
    up, down, groups = (case.get(k, 1) for k in ("up", "down", "groups"))
    taps = np.ones((1, 1)) if f is None else f
    taps = np.flip(taps) if case.get("flip_filter") else taps
    if f is not None and (up, down, groups) == (2, 1, 1):
        return fir.upsample_conv(x, w, taps)
    if f is not None and (up, down) == (1, 2):
        return fir.downsample_conv(x, w, taps)
    pad = pads(case.get("padding", 0))
    pad = ((pad, pad), (pad, pad)) if isinstance(pad, int) else pad
    if down > 1:  # the padding of all steps comes first
        sizes = zip(pad, taps.shape, strict=True)
        pad = [(a + (n - down + 1) // 2, b + (n - down) // 2) for (a, b), n in sizes]
    if up > 1:
        x = fir.upsample(x, taps, up, pad=pad)
        x = conv(x, w, padding="VALID", feature_group_count=groups)
        return fir.upfirdn(x, taps, down=down) if down > 1 else x
    return conv(x, w, strides=down, padding=pad)


def test_the_authors_convolutions(style_reference):
    hyper, arrays = style_reference("ops_conv2d_resample")
    arrays = {k: np.asarray(v, np.float64) for k, v in arrays.items()}

    def all_cases(x):
        return {
            case["case"]: resampled(
                case,
                x,
                arrays[f"in/{case['w']}"],
                arrays.get(f"f/{case.get('f', '1331')}"),
            )
            for case in hyper["cases"]
        }

    with jax.enable_x64(True):
        x = last(arrays["in/x"])
        found = compiled(all_cases, x)
        for case in hyper["cases"]:
            theirs = last(arrays[f"out/{case['case']}"])
            assert error(found[case["case"]], theirs) < STORED, case
        # A kernel that is not turned is another one.
        w = np.moveaxis(arrays["in/w3"], (0, 1), (-1, -2))
        other = np.asarray(fir.upsample_conv(x, w, arrays["f/1331"]))
        assert error(other, last(arrays["out/01"])) > 1e-2


def test_a_mean_is_kept_and_a_filter_has_two_axes():
    x = jnp.full((1, 8, 8, 2), 3.0)
    assert fir.upsample(x).shape == (1, 16, 16, 2)
    assert fir.downsample(x).shape == (1, 4, 4, 2)
    for f in (fir.upsample, fir.downsample, fir.blur):
        inner = f(x)[:, 2:-2, 2:-2]
        np.testing.assert_allclose(inner, np.full(inner.shape, 3.0), rtol=1e-6)
    with pytest.raises(ValueError, match=r"f \(1, 1, 1\) must have one axis or two"):
        fir.upfirdn(x, np.ones((1, 1, 1)))


CASES = {
    "up": (fir.upsample_conv, (2, 5, 4, 3), (3, 3, 3, 2)),
    "up point": (fir.upsample_conv, (2, 5, 4, 3), (1, 1, 3, 2)),
    "down": (fir.downsample_conv, (2, 6, 4, 3), (3, 3, 3, 2)),
    "down point": (fir.downsample_conv, (2, 6, 4, 3), (1, 1, 3, 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_differences(name):
    """Of sum(y^3) and, once more, of the squared norm of its gradient in x."""
    operation, *shapes = CASES[name]
    rng = np.random.default_rng(0)
    x, w, dx, dw = (rng.normal(size=s) for s in (*shapes, *shapes))

    def value(x, w):
        return (operation(x, w) ** 3).sum()

    def penalty(x, w):
        return (jax.grad(value)(x, w) ** 2).sum()

    def both(x, w):
        return [f(x, w) for f in (value, penalty)]

    def slopes(x, w):
        grads = [jax.grad(f, (0, 1))(x, w) for f in (value, penalty)]
        return [(a * dx).sum() + (b * dw).sum() for a, b in grads]

    with jax.enable_x64(True):
        h = 1e-5
        run = functools.partial(jax.jit(both, compiler_options=QUICK))
        ends = [run(x + s * h * dx, w + s * h * dw) for s in (1, -1)]
        differences = [(a - b) / (2 * h) for a, b in zip(*ends, strict=True)]
        found = compiled(slopes, x, w)
    np.testing.assert_allclose(found, differences, rtol=1e-6)


def test_torch_has_the_same_derivatives():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(2, 5, 4, 3)), rng.normal(size=(3, 3, 3, 2))
    f = np.outer(fir.TAPS, fir.TAPS)

    def plain(x, w):
        """Zeros between pixels, one correlation with w, and one with 4 f."""
        n, c, height, width = x.shape
        zeros = torch.zeros(n, c, height, 2, width, 2, dtype=x.dtype)
        mask = torch.zeros(2, 2, dtype=x.dtype)
        mask[0, 0] = 1.0
        big = (zeros + x[:, :, :, None, :, None]) * mask[:, None, :]
        big = big.reshape(n, c, 2 * height, 2 * width)
        big = torch.nn.functional.pad(big, (3, 2, 3, 2))
        y = torch.nn.functional.conv2d(big, w)
        kernel = torch.tensor(4 * f).expand(y.shape[1], 1, 4, 4)
        return torch.nn.functional.conv2d(y, kernel, groups=y.shape[1])

    a, b = (
        torch.tensor(np.ascontiguousarray(v), requires_grad=True)
        for v in (np.moveaxis(x, -1, 1), np.moveaxis(w, (-1, -2), (0, 1)))
    )
    grads = torch.autograd.grad((plain(a, b) ** 3).sum(), a, create_graph=True)
    theirs = [g.numpy() for g in torch.autograd.grad((grads[0] ** 2).sum(), (a, b))]

    def value(x, w):
        return (fir.upsample_conv(x, w) ** 3).sum()

    def penalty(x, w):
        return (jax.grad(value)(x, w) ** 2).sum()

    with jax.enable_x64(True):
        ours = compiled(jax.grad(penalty, (0, 1)), x, w)
    assert error(ours[0], last(theirs[0])) < 1e-9
    assert error(ours[1], np.moveaxis(theirs[1], (0, 1), (-1, -2))) < 1e-9
