"""TGAN's networks: the authors' numbers, interpolated latents, and shapes."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from scipy.special import erfinv

from gans import core, networks, optim
from gans.networks import video

BATCH = {"name": "batch", "unbiased": True, "epsilon": 2e-5}  # of the authors
# Little effort goes into compiling what runs a few times.
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


@pytest.fixture(scope="module")
def reference(authors):
    return authors.Reference("tgan", "tgan")


@pytest.fixture(scope="module")
def generator():
    return networks.make(
        "Generator",
        "video",
        shape=(16, 32, 32, 3),
        widths=(64, 32, 16, 8, 4),
        frame_widths=(32, 16, 8, 8),
        frame_latent=10,
        norm=BATCH,
        dtype="float64",
    )


@pytest.fixture(scope="module")
def discriminator():
    norm = {**BATCH, "bias": False}
    widths = (6, 12, 24, 48)
    return networks.make(
        "Discriminator", "video", widths=widths, norm=norm, dtype="float64"
    )


def nested(state, side=2):
    """Arrays by the authors' names as {network: {collection: tree}} of ours."""
    found = {}

    def put(net, path, x):
        found[(net, *path.split("/"))] = x

    def norm(net, path, theirs, change=lambda x: x):
        for name, ours in (("gamma", "scale"), ("beta", "bias")):
            if f"{theirs}/{name}" in state:
                x = change(state[f"{theirs}/{name}"])
                put(net, f"params/{path}/batch/{ours}", x)
        for name in ("mean", "var"):
            if f"{theirs}/avg_{name}" in state:
                x = change(state[f"{theirs}/avg_{name}"])
                put(net, f"batch_stats/{path}/batch/{name}", x)

    def per_pixel(x):  # [C * H * W, ...] to [H * W * C, ...]
        x = x.reshape(-1, side, side, *x.shape[1:])
        return np.moveaxis(x, 0, 2).reshape(-1, *x.shape[3:])

    def deconv(path, w, name="kernel"):  # [I, O, *K] to [*K, I, O], as a correlation
        w = np.moveaxis(w, (0, 1), (-2, -1))
        put("g", f"params/{path}/{name}", np.flip(w, range(w.ndim - 2)))

    for i in range(5):
        path = f"temporal/deconv{i}" if i else "temporal/dense"
        deconv(path, state[f"fsgen/dc{i}/W"])
        put("g", f"params/{path}/bias", state[f"fsgen/dc{i}/b"])
        if i < 4:
            norm("g", f"temporal/norm{i}", f"fsgen/bn{i}")
            # The authors' have none.
            key = ("g", "params", "temporal", f"norm{i}", "batch", "bias")
            found[key] = np.zeros_like(state[f"fsgen/bn{i}/gamma"])
    key = ("g", "params", "temporal", "dense", "kernel")
    found[key] = found[key][0]
    for ours, theirs in (("clip", "s"), ("frame", "f")):
        w = per_pixel(state[f"vgen/l0{theirs}/W"]).T
        put("g", f"params/dense_{ours}/kernel", w)
        norm("g", f"norm_{ours}", f"vgen/bn0{theirs}", per_pixel)
    halves = np.split(state["vgen/dc1/W"], 2)
    for ours, w in zip(("clip", "frame"), halves, strict=True):
        deconv(f"deconv1_{ours}", w)
    for i in range(2, 5):
        deconv(f"deconv{i}", state[f"vgen/dc{i}/W"])
    for i in range(1, 5):
        norm("g", f"norm{i}", f"vgen/bn{i}")
    deconv("out", state["vgen/dc5/W"])
    put("g", "params/out/bias", state["vgen/dc5/b"])
    for i in range(5):
        w = state[f"vdis/c{i}/W"]
        w = w[:, :, None] if w.ndim == 4 else w
        path = f"conv{i}" if i < 4 else "out"
        put("d", f"params/{path}/kernel", np.moveaxis(w, (0, 1), (-1, -2)))
        put("d", f"params/{path}/bias", state[f"vdis/c{i}/b"])
        if 0 < i < 4:
            norm("d", f"norm{i}", f"vdis/bn{i}")
    return unflatten_dict(found)


def share(found, expected):
    """The largest error, as a share of the largest value."""
    return np.abs(found - expected).max() / np.abs(expected).max()


def real():
    """The real clips [B, T, H, W, C] that the authors' losses were given."""
    b, t, y, x, c = np.ogrid[:3, :16, :32, :32, :3]
    clips = 0.7 * np.sin(0.3 * (x + (1 + b) * t) + c) * np.cos(0.2 * y - 0.1 * t * b)
    return np.rint(64 * clips) / 64


def z_of(reference):
    """z of which erf(z / sqrt(2)) is the authors' z_0."""
    return np.sqrt(2) * erfinv(reference.arrays["z_slow"])


@pytest.fixture(scope="module")
def sampled(reference, generator, discriminator):
    """f(changed=...) -> {what is compared: its error} outside training."""

    def errors(change=lambda variables: variables):
        with jax.enable_x64(True):
            variables = change(nested(reference.state))
            z, arrays = z_of(reference), reference.arrays

            @quick
            def run(variables, z, real):
                clips = generator.apply(variables["g"], z, train=False)
                d = functools.partial(discriminator.apply, variables["d"], train=False)
                return clips, d(real), d(clips)

            clips, on_real, on_fake = jax.device_get(run(variables, z, real()))
        found = {
            "video_b0_every5": np.moveaxis(clips[0, ::5], -1, 0),
            "video_frame_means": clips.mean((2, 3)).swapaxes(1, 2),
            "critic_real": on_real,
            "critic_fake": on_fake,
        }
        found = {k: x.reshape(arrays[f"test/{k}"].shape) for k, x in found.items()}
        return {k: share(x, arrays[f"test/{k}"]) for k, x in found.items()}

    return errors


@pytest.mark.slow
def test_clips_and_scores_are_the_authors(sampled, reference):
    first = np.moveaxis(reference.arrays["real_b0"], 0, -1)
    np.testing.assert_array_equal(real()[0], first)
    assert max(sampled().values()) < 1e-6


@pytest.mark.slow
def test_exchanged_branches_are_found(sampled):
    """The negative control: the image generator takes z_0 for z_t's half."""

    def exchanged(variables):
        params = variables["g"]["params"]
        both = params["deconv1_clip"], params["deconv1_frame"]
        params["deconv1_frame"], params["deconv1_clip"] = both
        return variables

    found = sampled(exchanged)
    assert found["video_b0_every5"] > 1e-2 and found["critic_real"] < 1e-6


def authors_updates(z):
    """A generator's update, then the critic's, on the fakes of one forward pass."""

    def generator_loss(nets, batch, key, state):
        fake, stats = nets["g"].mutate(z)
        on_fake, d_stats = nets["d"].mutate(fake)
        aux = {"fake": fake, "d_stats": d_stats}
        return -on_fake.mean(), core.Out(
            stats={"g": stats}, aux=jax.lax.stop_gradient(aux)
        )

    def critic_loss(nets, batch, key, state):
        d = dataclasses.replace(nets["d"], stats=state.aux["d_stats"])
        on_real, stats = d.mutate(batch["clip"])
        on_fake = nets["d"](state.aux["fake"])
        return on_fake.mean() - on_real.mean(), core.Out(stats={"d": stats})

    return (
        core.Update("gen", ("g",), generator_loss),
        core.Update("dis", ("d",), critic_loss),
    )


@pytest.mark.slow
def test_two_updates_are_the_authors(reference, generator, discriminator):
    with jax.enable_x64(True):
        variables, z = nested(reference.state), z_of(reference)
        rmsprop = optim.make(
            "rmsprop", learning_rate=5e-5, n_updates=2, decay=0.99, eps=1e-8
        )

        def theirs(params):  # they have no bias in the temporal norms
            flat = flatten_dict(params)
            own = {x: not ("temporal" in x and "norm" in x[1]) for x in flat}
            return unflatten_dict(
                {x: "train" if own[x] or x[-1] == "scale" else "stay" for x in flat}
            )

        parts = {"train": rmsprop, "stay": optax.set_to_zero()}
        tx = optax.multi_transform(parts, theirs)
        clips = jax.ShapeDtypeStruct((1, 16, 32, 32, 3), jnp.float64)
        gan = core.GAN(
            nets={
                "g": core.Net(generator, (z,), tx),
                "d": core.Net(discriminator, (clips,), rmsprop),
            },
            updates=authors_updates(z),
            inputs=None,
            outputs={},
        )
        params = {name: x.pop("params") for name, x in variables.items()}
        state = core.State(
            jnp.int32(0),
            params,
            variables,
            {name: net.tx.init(params[name]) for name, net in gan.nets.items()},
            {},
            {"fake": jnp.zeros((3, *clips.shape[1:])), "d_stats": variables["d"]},
        )
        step, losses = quick(core.make_step(gan)), []
        for _ in range(2):
            state, metrics = step(state, {"clip": real()}, jax.random.key(0))
            losses.append([float(metrics[f"{x}/loss"]) for x in ("gen", "dis")])
        expected = [[*x.values()] for x in reference.meta["losses_of_two_updates"]]
        np.testing.assert_allclose(losses, expected, rtol=1e-5)
        _compare(reference, state)


def _compare(reference, state):
    """The first values of each array, its sum and its sum of squares, after updates."""
    places, n = {}, 1
    for name, x in reference.state.items():
        places[name] = np.arange(n, n + x.size).reshape(x.shape)
        n += x.size
    ours = np.full(n, np.nan)
    marks = nested(places)
    for net in ("g", "d"):
        for collection in ("params", "batch_stats"):
            tree = state.params[net]
            if collection == "batch_stats":
                tree = state.stats[net]["batch_stats"]
            at, x = flatten_dict(marks[net][collection]), flatten_dict(tree)
            for path in at:
                if at[path].flat[0]:  # what they have
                    ours[at[path]] = x[path]
    for name, at in places.items():
        x = ours[at.ravel()]
        if np.isnan(x).any():  # the norm that the critic has no use for
            assert name.startswith("vdis/bn0")
            continue
        expected = reference.arrays[f"after2/{name}"]
        if name == "vgen/bn0s/avg_var":
            # Theirs is of z_0 repeated for 16 frames: unbiased by 48 / 47, not 3 / 2.
            kept = 0.9**2 * reference.state[name]
            x = kept + (x - kept) * (48 / 47) / (3 / 2)
        if "avg" in name:
            assert share(x, expected) < 1e-6, name
        else:
            kept = np.concatenate([[x.sum(), (x**2).sum()], x[:254]])
            np.testing.assert_allclose(kept, expected, atol=2e-6, err_msg=name)


def small(**options):
    sizes = {"widths": (8, 4, 4), "frame_widths": (6, 5), "frame_latent": 3}
    return networks.make("Generator", "video", **{**sizes, **options})


def test_frames_between_are_of_latents_on_the_line():
    z = jnp.array(np.random.default_rng(0).normal(size=(1, 3, 2)))
    found = video.interpolated(z, 2)
    np.testing.assert_allclose(found[:, ::2], z, rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], (z[:, 0] + z[:, 1]) / 2, rtol=1e-6)
    np.testing.assert_array_equal(video.interpolated(z, 1), z)


@pytest.mark.slow
def test_a_generator_makes_frames_between():
    g = small(shape=(4, 8, 8, 1), kernel_init="he")
    z = jnp.array(np.random.default_rng(1).normal(size=(2, 5)), jnp.float32)

    @quick
    def run(z):
        variables = g.init(jax.random.key(0), z, train=True)
        run = functools.partial(g.apply, variables, z, train=False)
        return run(), run(between=3)

    clips, slow = run(z)
    assert clips.shape == (2, 4, 8, 8, 1) and slow.shape == (2, 10, 8, 8, 1)
    assert jnp.abs(clips[:, 1:] - clips[:, :-1]).max() > 1e-3, "frames differ"
    np.testing.assert_allclose(slow[:, ::3], clips, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("shape", [(6, 16, 8, 3), (8, 24, 24, 1), (32, 64, 64, 1)])
def test_networks_take_other_sizes(shape):
    def passes(key):
        g = small(shape=shape, frame_widths=(6,) * (1 + shape[0] // 8))
        d = networks.make("Discriminator", "video", widths=(3, 4, 5, 6))
        z = jnp.zeros((2, 5))
        clips, _ = g.init_with_output(key, z, train=True)
        return clips, d.init_with_output(key, clips, train=True)[0]

    clips, logits = jax.eval_shape(passes, jax.random.key(0))
    assert clips.shape == (2, *shape) and logits.shape == (2,)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"shape": (6, 8, 8, 1)}, r"frame_widths=\(6, 5\) enlarge by 4.* frames 6"),
        ({"shape": (4, 10, 8, 1)}, r"widths=\(8, 4, 4\) enlarge by 4.* height 10"),
        ({"shape": (4, 8, 8, 1), "widths": (7, 4)}, "the first is shared by two"),
    ],
)
def test_sizes_that_do_not_fit(options, message):
    g = small(**options)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(
            functools.partial(g.init, train=True), jax.random.key(0), jnp.zeros((2, 5))
        )
