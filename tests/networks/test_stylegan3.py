"""StyleGAN3's generator: the authors' numbers, and how it moves and turns."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans import networks
from gans.layers import lowpass
from gans.layers.alias_free import plan
from gans.layers.conv.inspect import slow_convolutions
from gans.networks import stylegan3

QUICK = {"xla_backend_optimization_level": 0}
SMALL = {"channel_base": 64, "channel_max": 8, "w_dim": 6, "depth": 4}
slow = pytest.mark.slow


def compiled(f, *args):
    return jax.device_get(jax.jit(f, compiler_options=QUICK)(*args))


def error(ours, theirs):
    """The largest, as a share of the largest value; of the first images if fewer."""
    ours = np.asarray(ours)[: len(theirs)]
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


class Given:
    """A generator of the authors, in float64, and what its arrays are to be."""

    def __init__(self, load, name, **changed):
        self.hyper, self.arrays = load(name)
        self.state = {
            k.removeprefix("G/"): v for k, v in self.arrays.items() if k[:2] == "G/"
        }
        self.options, variables = stylegan3.from_torch(self.state)
        # Theirs forget by 0.999 a batch, ours by images.
        images = len(self.arrays["in/z"]) * np.log(0.5) / np.log(0.999)
        extra = {"dtype": "float64", "magnitude_images": images}
        self.module = networks.make(
            "Generator", "stylegan3", **self.options | extra | changed
        )
        double = functools.partial(np.asarray, dtype=np.float64)
        self.variables = jax.tree.map(double, variables)
        labels = self.arrays["in/c"]
        self.label = labels.argmax(1) if labels.shape[1] else None

    def __getitem__(self, name):
        x = np.asarray(self.arrays[name], np.float64)
        return np.moveaxis(x, 1, -1) if x.ndim == 4 else x

    def run(self, *args, **kwargs):
        kwargs = {"train": False} | kwargs
        return self.module.apply(self.variables, *args, **kwargs)


GENERATORS = [
    pytest.param("sg3_T_32", marks=slow),
    pytest.param("sg3_R_32", marks=slow),
    "sg3_T_16_short",
]


@pytest.mark.parametrize("name", GENERATORS)
def test_the_authors_images(style_reference, name):
    with jax.enable_x64(True):
        given = Given(style_reference, name)
        assert given.module.n_ws == given.hyper["table"]["num_ws"]

        def make(z):
            ws = given.run(z, given.label, method="mapping")
            average = given.variables["style"]["w_avg"]
            few = jnp.arange(ws.shape[1])[:, None] < 4
            nearer = average + 0.4 * (ws - average)
            ways = {
                "out/img": ws,
                "out/img_psi0.7": average + 0.7 * (ws - average),
                "out/img_psi0.4_cutoff4": jnp.where(few, nearer, ws),
                "out/img_mixed_from4_with_reversed_batch": jnp.where(few, ws, ws[::-1]),
            }
            draw = functools.partial(given.run, method="synthesis")
            found = {way: draw(ws) for way, ws in ways.items()}
            found["out/img_transform"] = draw(ws, transform=given["in/transform"])
            return found | {"out/ws": ws[:, 0]}

        for key, ours in compiled(make, given["in/z"]).items():
            assert error(ours, given[key]) < 1e-6, key


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATORS)
def test_the_authors_gradients_and_averages(style_reference, name):
    with jax.enable_x64(True):
        given = Given(style_reference, name)
        stats = {k: x for k, x in given.variables.items() if k != "params"}

        def total(params, z):
            variables = {"params": params, **stats}
            images = given.module.apply(variables, z, given.label, train=False)
            _, moved = given.module.apply(
                variables, z, given.label, train=True, mutable=[*stats]
            )
            return (images * given["in/v"]).sum(), moved

        params = given.variables["params"]
        grads, moved = compiled(jax.grad(total, has_aux=True), params, given["in/z"])
        # Which of our arrays is which of theirs.
        marks = {name: i for i, name in enumerate(given.state)}
        where = {k: np.full(x.shape, marks[k]) for k, x in given.state.items()}
        where["synthesis.input.transform"] = np.eye(3)
        where = stylegan3.from_torch(where)[1]

        def named(tree, places):
            pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(places), strict=True)
            return {[*marks][int(at.flat[0])]: x for x, at in pairs}

        norms = {k: np.linalg.norm(x) for k, x in named(grads, where["params"]).items()}
        theirs = {k: given.arrays[f"out/dnorm/{k}"] for k in norms}
        largest = max(theirs.values())
        for key, norm in norms.items():
            assert abs(norm - theirs[key]) < 1e-6 * largest, key
        after = named(moved, {k: where[k] for k in moved})
        compared = [k for k in given.arrays if k.startswith("out/after_update/")]
        assert len(compared) == given.module.depth + 2
        for key in compared:
            ours = np.asarray(after[key.removeprefix("out/after_update/")])
            assert np.allclose(ours, given.arrays[key], rtol=1e-6, atol=1e-9), key


@pytest.mark.slow
def test_details_without_which_the_numbers_are_others(style_reference):
    with jax.enable_x64(True):
        for changed in ({"rotation": True}, {"clamp": 0.5}):
            given = Given(style_reference, "sg3_T_16_short", **changed)
            if "rotation" in changed:  # radial filters alone
                params = given.variables["params"]
                for i in range(given.module.depth):
                    layer = params[f"layer{i}"]
                    layer["kernel"] = layer["kernel"][1:2, 1:2]
            ws = np.repeat(given["out/ws"][:, None], given.module.n_ws, 1)
            images = compiled(functools.partial(given.run, method="synthesis"), ws)
            assert error(images, given["out/img"]) > 1e-3


@pytest.mark.parametrize("kind", ["t", "r"])
def test_the_authors_layers_and_filters(style_reference, kind):
    hyper, arrays = style_reference("sg3_layer_tables")
    names = [name for name in hyper["tables"] if name.startswith(f"{kind}_")]
    assert len(names) >= 3
    size = 3 if kind == "t" else 1
    for name in names:
        table, side = hyper["tables"][name], int(name.split("_")[1])
        times = 1 if kind == "t" else 2
        found = stylegan3.bands((side, side, 3), 14, 32768 * times, 512 * times)
        assert table["input"] == {
            "channels": found[0].channels,
            "size": found[0].size,
            "sampling_rate": found[0].rate,
            "bandwidth": found[0].cutoff,
        }
        for i, theirs in enumerate(table["layers"]):
            before, after = found[max(i - 1, 0)], found[i]
            ours = [(x.channels, x.size, x.rate) for x in (before, after)]
            ends = [[theirs[f"{end}_{x}"] for x in ("channels", "size", "rate")]
                    for end in ("in", "out")]  # fmt: skip
            assert np.array_equal(ours, ends)
            assert np.allclose(after.cutoff, theirs["out_cutoff"], rtol=1e-12)
            assert np.allclose(after.half_width, theirs["out_half_width"], rtol=1e-12)
            if theirs["torgb"]:
                continue
            made = plan(before, after, size, kind == "r")
            assert [made.up, made.down] == [theirs["up"], theirs["down"]]
            assert [*made.pad] == theirs["padding_x0_x1_y0_y1"][:2]
            for which in ("up_filter", "down_filter"):
                taps = arrays[f"{which}/{name}/{theirs['name']}"]
                assert error(getattr(made, which), taps) < 1e-6


def test_another_filter_is_not_the_authors(style_reference):
    _, arrays = style_reference("sg3_layer_tables")
    taps = arrays["down_filter/t_64/L1_36_512"]
    right = lowpass.kaiser(12, 2.5198420997897464, 5.480157900210253, 32)
    wrong = lowpass.kaiser(12, 2.5198420997897464, 6.0, 32)
    assert error(right, taps) < 1e-6 < 1e-4 < error(wrong, taps)


def moved(x, y):
    """The transform whose inverse moves an image by (x, y) sides."""
    return jnp.eye(3).at[:2, 2].set([-x, -y])


@pytest.mark.slow
def test_a_moved_input_moves_the_image():
    """By whole pixels, but for what the few taps of a filter let through."""
    module = networks.make("Generator", "stylegan3", shape=(16, 16, 3), **SMALL)

    def draw(ws, transform):
        variables = module.init(jax.random.key(0), ws[:, 0], train=False)
        made = functools.partial(module.apply, variables, train=False)
        return made(ws, transform=transform, method="synthesis")

    ws = jax.random.normal(jax.random.key(1), (2, module.n_ws, 6))
    images = compiled(lambda ws: [draw(ws, moved(x, 0)) for x in (0, 0.25)], ws)
    shifted = error(images[1][:, :, 4:], images[0][:, :, :-4])
    assert shifted < 0.05 < 0.5 < error(images[1], images[0])


def test_sizes_are_refused():
    for shape in ((12, 12, 3), (4, 4, 3), (16, 32, 3)):
        with pytest.raises(ValueError, match="power of two"):
            stylegan3.bands(shape, 14, 64, 8)
    with pytest.raises(ValueError, match="channel_base=8"):
        stylegan3.bands((32, 32, 3), 14, 8, 8)


def test_no_slow_convolution():
    module = networks.make("Generator", "stylegan3", shape=(8, 8, 3), **SMALL)
    z = jax.ShapeDtypeStruct((2, 5), jnp.float32)
    variables = jax.eval_shape(
        functools.partial(module.init, train=False), jax.random.key(0), z
    )

    def loss(variables, z):
        return module.apply(variables, z, train=False).sum()

    traced = jax.jit(jax.grad(loss)).trace(variables, z)
    assert not slow_convolutions(traced.lower(lowering_platforms=("cpu",)).as_text())
