"""StyleGAN2's networks: the authors' numbers, their state dicts, and the contract."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans import core, game, networks
from gans.layers.conv.inspect import slow_convolutions
from gans.networks import stylegan2

QUICK = {"xla_backend_optimization_level": 0}
SMALL = {"channel_base": 64, "channel_max": 8, "w_dim": 6, "mapping_layers": 2}


class Given:
    """A network of the authors, in float64, and what its arrays are to be."""

    def __init__(self, load, name, **changed):
        self.hyper, self.arrays = load(name)
        self.role = name.split("_")[1]
        prefix = f"{self.role}/"
        self.state = {
            k.removeprefix(prefix): v
            for k, v in self.arrays.items()
            if k.startswith(prefix)
        }
        self.options, variables = stylegan2.from_torch(self.state)
        role = {"G": "Generator", "D": "Discriminator"}[self.role]
        told = self.hyper["kwargs" if self.role == "D" else "synthesis_kwargs"]
        extra = {"clamp": told.get("conv_clamp"), "dtype": "float64"}
        self.module = networks.make(role, "stylegan2", **self.options | extra | changed)
        double = functools.partial(np.asarray, dtype=np.float64)
        self.variables = jax.tree.map(double, variables)
        labels = self.arrays["in/c"]
        self.label = labels.argmax(1) if labels.shape[1] else None

    def __getitem__(self, name):
        x = np.asarray(self.arrays[name], np.float64)
        return np.moveaxis(x, 1, -1) if x.ndim == 4 and "dfull" not in name else x

    def run(self, *args, **kwargs):
        return self.module.apply(self.variables, *args, train=False, **kwargs)


def compiled(f, *args):
    return jax.device_get(jax.jit(f, compiler_options=QUICK)(*args))


def error(ours, theirs):
    """The largest, as a share of the largest value; of the first images if fewer."""
    ours = np.asarray(ours)[: len(theirs)]
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def images(given):
    """What the authors' generator makes of z, in all the ways of the file."""

    def make(z, z2):
        ws, other = (given.run(x, given.label, method="mapping") for x in (z, z2))
        average = given.variables["style"]["w_avg"]

        def drawn(ws, noise="const"):
            return given.run(ws, noise=noise, method="synthesis")

        found = {
            "out/ws": ws[:, -1],
            "out/img": drawn(ws),
            "out/img_psi0.7": drawn(average + 0.7 * (ws - average)),
            "out/img_noise_none": drawn(ws, "none"),
        }
        for name in given.arrays:
            kind, _, number = name.rpartition("cutoff")
            if kind == "out/img_psi0.5_":
                few = jnp.arange(ws.shape[1])[:, None] < int(number)
                found[name] = drawn(jnp.where(few, (ws + average) / 2, ws))
            kind, _, number = name.rpartition("from")
            if kind == "out/img_mixed_":
                few = jnp.arange(ws.shape[1])[:, None] < int(number)
                found[name] = drawn(jnp.where(few, ws, other))
        return found

    return compiled(make, given["in/z"], given["in/z2"])


slow = pytest.mark.slow
GENERATORS = [
    pytest.param("sg2_G_32", marks=slow),
    pytest.param("sg2_G_64_cond", marks=slow),
    pytest.param("sg2_G_16_resnet", marks=slow),
    pytest.param("sg2_G_16_orig", marks=slow),
    "sg2_G_16_clamp",
]
DISCRIMINATORS = [
    pytest.param("sg2_D_32", marks=slow),
    pytest.param("sg2_D_64_cond", marks=slow),
    pytest.param("sg2_D_16_skip", marks=slow),
    "sg2_D_16_orig",
    pytest.param("sg2_D_16_clamp", marks=slow),
]


@pytest.mark.parametrize("name", GENERATORS)
def test_the_authors_images(style_reference, name):
    with jax.enable_x64(True):
        given = Given(style_reference, name)
        assert given.module.n_ws == given.hyper["num_ws"]
        found = images(given)
        for key, ours in found.items():
            assert error(ours, given[key]) < 1e-8, key


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_the_authors_logits(style_reference, name):
    with jax.enable_x64(True):
        given = Given(style_reference, name)

        def penalty(variables, x):
            """The sum of logits, differentiated in x, and the penalty's gradients."""

            def logits(x):
                return given.module.apply(variables, x, given.label, train=False)

            grads = jax.grad(lambda x: logits(x).sum())(x)
            squares = (grads**2).sum((1, 2, 3))
            loss = squares.mean() * given.hyper["r1_gamma"] / 2
            return loss, (logits(x), grads, squares)

        grads, (logits, slopes, squares) = compiled(
            jax.grad(penalty, has_aux=True), given.variables, given["in/img"]
        )
        assert error(logits, given["out/logits"][:, 0]) < 1e-8
        assert error(slopes, given["out/r1_grads"]) < 1e-6  # stored in float32
        assert error(squares, given["out/r1_penalty"]) < 1e-8
        theirs = stylegan2.to_torch(given.options, grads)
        check_gradients(theirs, given.arrays, "out/r1_d")


def check_gradients(found, arrays, prefix):
    """Norms of gradients by the authors' names, and a few gradients in full."""
    norms = [k for k in arrays if k.startswith(f"{prefix}norm/")]
    assert len(norms) > 10
    largest = max(arrays[k] for k in norms)
    for key in norms:
        ours = np.linalg.norm(found[key.removeprefix(f"{prefix}norm/")])
        assert abs(ours - arrays[key]) < 1e-7 * largest, key
    for key in arrays:
        if key.startswith(f"{prefix}full"):
            ours = found[key.split("/")[-1]]
            assert error(ours, arrays[key]) < 1e-6, key


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sg2_G_32", "sg2_G_64_cond"])
def test_the_authors_path_lengths(style_reference, name):
    with jax.enable_x64(True):
        given = Given(style_reference, name)
        y = given["in/pl_y"] / given["in/pl_y"][0, ..., 0].size ** 0.5
        stats = {k: v for k, v in given.variables.items() if k != "params"}

        def lengths(params, z):
            apply = functools.partial(given.module.apply, {"params": params, **stats})
            ws = apply(z, given.label, train=False, method="mapping")

            def projected(ws):
                image = apply(ws, train=False, noise="const", method="synthesis")
                return (image * y).sum()

            grads = jax.grad(projected)(ws)
            found = jnp.sqrt((grads**2).sum(2).mean(1))
            mean = given["in/pl_mean"] + 0.01 * (found.mean() - given["in/pl_mean"])
            penalty = (found - mean) ** 2
            return 2 * penalty.mean(), (grads, found, penalty)

        grads, (slopes, found, penalty) = compiled(
            jax.grad(lengths, has_aux=True), given.variables["params"], given["in/z"]
        )
        assert error(slopes, given["out/pl_grads_ws"]) < 1e-7
        assert error(found, given["out/pl_lengths"]) < 1e-8
        assert error(penalty, given["out/pl_penalty"]) < 1e-7
        check_gradients(
            stylegan2.to_torch(given.options, {"params": grads, "noise": {}}),
            given.arrays,
            "out/pl_d",
        )


def test_small_changes_show(style_reference):
    """Options and details without which the numbers are others."""
    with jax.enable_x64(True):
        for changed in ({"clamp": 1.1}, {"clamp": None}):
            given = Given(style_reference, "sg2_G_16_clamp", **changed)

            def draw(ws, given=given):
                return given.run(ws, noise="const", method="synthesis")

            ws = np.broadcast_to(given["out/ws"][:, None], (2, 6, 16))
            assert error(compiled(draw, ws), given["out/img"]) > 1e-3
        given = Given(style_reference, "sg2_D_16_orig", group=2)
        logits = compiled(given.run, given["in/img"])
        assert error(logits, given["out/logits"][:, 0]) > 1e-4


@pytest.mark.parametrize("name", ["sg2_G_32", "sg2_G_16_resnet", "sg2_D_16_skip"])
def test_states_of_torch_there_and_back(style_reference, name):
    _, arrays = style_reference(name)
    prefix = name.split("_")[1] + "/"
    state = {k[2:]: v for k, v in arrays.items() if k.startswith(prefix)}
    options, variables = stylegan2.from_torch(state)
    back = stylegan2.to_torch(options, variables)
    assert back.keys() == state.keys()
    for key, value in state.items():
        np.testing.assert_array_equal(back[key], value, err_msg=key)
    with pytest.raises(ValueError, match="not a network of StyleGAN2.*model.0.weight"):
        stylegan2.from_torch({"model.0.weight": np.zeros((1, 1, 3, 3))})


def test_an_update_of_the_average(style_reference):
    with jax.enable_x64(True):
        given = Given(style_reference, "sg2_G_16_orig")

        def moved(z):
            _, after = given.module.apply(
                given.variables, z, train=True, method="mapping", mutable=["style"]
            )
            return after["style"]["w_avg"]

        found = compiled(moved, given["in/z"])
        assert error(found, given["out/w_avg_after_one_update"]) < 1e-8


def generator(side=16, **options):
    return networks.make(
        "Generator", "stylegan2", shape=(side, side, 3), **SMALL | options
    )


def first(module, *args, **kwargs):
    keys = {"params": jax.random.key(0), "noise": jax.random.key(1)}
    return module.init(keys, *args, train=False, **kwargs)


def test_styles_are_mixed_from_one_layer_on_for_the_whole_batch():
    g = generator(mixing=0.9)
    z = jax.random.normal(jax.random.key(2), (3, 5))
    with jax.disable_jit():
        variables = jax.eval_shape(functools.partial(first, g), z)
    variables = jax.tree.map(
        lambda v: np.random.default_rng(v.size).normal(size=v.shape), variables
    )

    def run(key, module=g):
        own = module.bind(variables, rngs={"mixing": key, "noise": key})
        known = own.mapping(z, train=False), own.styles(z, train=False)
        return *known, own.styles(z, train=True), own.styles(z, None, key, train=True)

    keys = jax.random.split(jax.random.key(4), 300)
    ws, plain, mixed, asked = map(np.asarray, jax.jit(jax.vmap(run))(keys))
    np.testing.assert_array_equal(plain, ws)
    assert (mixed != asked).any()  # of another key
    for found in (mixed, asked):
        same = (ws == found).all(3)  # [keys, B, layers]
        cuts = same.all(1).sum(1)
        for one, own, cut in zip(found, same, cuts, strict=True):
            assert own[:, :cut].all() and not own[:, cut:].any()
            np.testing.assert_array_equal(one[:, cut:], one[:, [-1] * (6 - cut)])
        # Uniform in 1 .. 5 with probability 0.9; deviations of 4 sigma.
        shares = np.bincount(cuts, minlength=7) / 300
        np.testing.assert_allclose(shares, [0, *5 * [0.18], 0.1], atol=4 * 0.0222)
    ws, *others = run(keys[0], generator(mixing=0.0))
    for found in others:
        np.testing.assert_array_equal(found, ws)


@pytest.mark.parametrize("side", [8, 1024])
def test_shapes(side):
    g, d = (
        generator(side, channel_base=1024),
        networks.make("Discriminator", "stylegan2"),
    )
    z = jax.ShapeDtypeStruct((4, 5), jnp.float32)
    run = functools.partial(g.init_with_output, train=True)
    out, variables = jax.eval_shape(run, jax.random.key(0), z)
    assert out.shape == (4, side, side, 3) and out.dtype == jnp.float32
    assert g.n_ws == 2 * (side.bit_length() - 2)
    assert len(variables["noise"]) == g.n_ws - 1
    logits, _ = jax.eval_shape(
        functools.partial(d.init_with_output, train=True), jax.random.key(0), out
    )
    assert logits.shape == (4,) and d.mixes_batch


@pytest.mark.slow
def test_both_batches_of_a_discriminator_pass_in_turn():
    d = networks.make("Discriminator", "stylegan2", channel_base=32, group=2)
    real, fake = jax.random.normal(jax.random.key(1), (2, 4, 8, 8, 1))
    variables = d.init(jax.random.key(0), real, train=True)
    bound = core.Bound(d, variables["params"], {}, train=True)
    alone = jax.jit(lambda x: d.apply(variables, x, train=True))
    together = jax.jit(lambda a, b: game.discriminate(bound, a, b, None, None)[:2])
    for logits, x in zip(together(real, fake), (real, fake), strict=True):
        assert error(logits, alone(x)) < 1e-5
    # One after the other, groups would be of both.
    mixed = alone(jnp.concatenate([real, fake]))
    assert error(mixed[:4], alone(real)) > 1e-3
    assert d.alternates(4) and not d.alternates(3)


@pytest.mark.parametrize("shape", [(32, 16, 3), (24, 24, 3), (4, 4, 3)])
def test_sizes_that_there_are_not(shape):
    g = networks.make("Generator", "stylegan2", shape=shape)
    with pytest.raises(ValueError, match=f"images of {shape[0]}x{shape[1]}; accepted"):
        g.n_ws  # noqa: B018


def test_what_is_rejected():
    for options, message in (
        ({"mixing": 1.5}, "mixing=1.5 must be a number in"),
        ({"architecture": "skp"}, "architecture: 'skp'.*did you mean 'skip'"),
        ({"channel_base": 8}, "channel_base=8 .*no channels at 16x16 pixels"),
    ):
        g = generator(**options)
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(functools.partial(first, g), jnp.zeros((1, 5)))
    g = generator(n_classes=3)
    with pytest.raises(ValueError, match="n_classes=3, but no label is given"):
        jax.eval_shape(functools.partial(first, g), jnp.zeros((1, 5)))


# Measured by the authors' code, of 1024 pixels with twice the channels, and of 256.
@pytest.mark.parametrize(
    "side, options, of_g, of_d",
    [
        (1024, {"channel_base": 32768}, 30_370_060, 29_012_513),
        (256, {}, 24_767_458, 24_001_089),
        (256, {"mapping_layers": 2}, 23_191_522, 24_001_089),
    ],
)
def test_the_authors_number_of_parameters(side, options, of_g, of_d):
    g = networks.make("Generator", "stylegan2", shape=(side, side, 3), **options)
    d = networks.make("Discriminator", "stylegan2", **options)
    for module, x, n in (
        (g, jax.ShapeDtypeStruct((1, 512), jnp.float32), of_g),
        (d, jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32), of_d),
    ):
        init = functools.partial(module.init, train=False)
        shapes = jax.eval_shape(init, jax.random.key(0), x)
        assert sum(p.size for p in jax.tree.leaves(shapes["params"])) == n


def test_the_dtype_is_that_of_the_highest_resolutions():
    """As many as are asked for; results, images and styles have 32 bits."""
    z = jax.ShapeDtypeStruct((4, 5), jnp.float32)
    for n in (0, 1, 2):
        options = {"dtype": "bfloat16", "n_bfloat16": n, "clamp": 256.0}
        g = generator(32, **options)
        d = networks.make("Discriminator", "stylegan2", **options)
        init = functools.partial(first, g)
        variables = jax.eval_shape(init, z)

        def run(variables, z, g=g):
            return g.apply(variables, z, train=False, rngs={"noise": jax.random.key(0)})

        text = str(jax.make_jaxpr(run)(variables, z))
        sides = {r for r in (4, 8, 16, 32) if f"bf16[4,{r},{r}," in text}
        assert sides == {0: set(), 1: {16, 32}, 2: {8, 16, 32}}[n]
        out = jax.eval_shape(run, variables, z)
        assert out.dtype == jnp.float32
        logits, _ = jax.eval_shape(
            functools.partial(d.init_with_output, train=False), jax.random.key(0), out
        )
        assert logits.dtype == jnp.float32


def test_no_slow_convolutions():
    g = generator(32)
    d = networks.make("Discriminator", "stylegan2", channel_base=64, channel_max=8)
    z = jnp.zeros((4, 5))
    shapes = jax.eval_shape(functools.partial(first, g), z)
    x = jax.ShapeDtypeStruct((4, 32, 32, 3), jnp.float32)
    of_d = jax.eval_shape(functools.partial(first, d), x)

    def lengths(params, shapes, z):
        variables = shapes | {"params": params}
        ws = g.apply(variables, z, train=False, method="mapping")

        def total(ws):
            draw = functools.partial(g.apply, variables, train=False, noise="const")
            return draw(ws, method="synthesis").sum()

        return (jax.grad(total)(ws) ** 2).sum()

    def penalty(variables, x):
        slopes = jax.grad(lambda x: d.apply(variables, x, train=False).sum())(x)
        return (slopes**2).sum()

    for f, *args in (
        (jax.grad(lengths), shapes["params"], shapes, z),
        (jax.grad(penalty), of_d, x),
    ):
        traced = jax.jit(f).trace(*args)
        program = traced.lower(lowering_platforms=("cpu",)).as_text()
        assert not slow_convolutions(program)


@pytest.mark.slow
def test_16_bits_come_near_32():
    """Images, logits and the gradients of the penalty, of the same parameters."""
    z = jax.random.normal(jax.random.key(3), (4, 5))
    found = []
    for options in ({}, {"dtype": "bfloat16", "n_bfloat16": 2, "clamp": 256.0}):
        g = generator(**options)
        d = networks.make("Discriminator", "stylegan2", channel_base=64, **options)

        def run(g=g, d=d):
            image, variables = g.init_with_output(jax.random.key(0), z, train=False)
            of_d = d.init(jax.random.key(1), image, train=False)

            def penalty(of_d):
                def logits(x):
                    return d.apply(of_d, x, train=False)

                slopes = jax.grad(lambda x: logits(x).sum())(image)
                return (slopes**2).sum(), logits(image)

            grads, logits = jax.grad(penalty, has_aux=True)(of_d)
            return image, logits, grads["params"]["b16"]["conv1"]["kernel"]

        found.append(compiled(run))
    for exact, rounded, bound in zip(*found, (0.05, 0.05, 0.1), strict=True):
        assert rounded.dtype == np.float32
        assert 0 < error(rounded, exact) < bound
