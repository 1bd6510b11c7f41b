"""PGGAN's networks: the authors' numbers at each level of detail, and bad shapes."""

import re

import jax
import numpy as np
import pytest

from gans import networks
from gans.losses.penalties import gradient_norms

slow = pytest.mark.slow
FILES = [pytest.param("pggan_32", marks=slow), "pggan_16_labels"]


def generator(given):
    """Their generator's arrays in our tree."""

    def array(name, x):
        kind = {"weight": "kernel", "bias": "bias"}[name.rpartition("/")[2]]
        if found := re.match(r"ToRGB_lod(\d+)/", name):
            return f"torgb{given.side_of(found[1])}/layer/{kind}", x
        if name.startswith("4x4/Dense/"):
            if kind == "bias":
                return "bias", x
            x = x.reshape(len(x), -1, 4, 4).transpose(0, 2, 3, 1).reshape(len(x), -1)
            return "dense/layer/kernel", x
        if name.startswith("4x4/Conv/"):
            return f"b4_conv/layer/{kind}", x
        found = re.match(r"(\d+)x\d+/Conv(\d)", name)
        if "Conv0_up" in name and kind == "kernel":
            x = x[::-1, ::-1].swapaxes(2, 3)
        return f"b{found[1]}_conv{found[2]}/layer/{kind}", x

    return given.params("G/", array)


@pytest.mark.parametrize("name", FILES)
def test_the_authors_images(grown_reference, name):
    with jax.enable_x64(True):
        given = grown_reference(name)
        params = generator(given)

        def image(params, z, side, alpha):
            module = given.module("Generator", "pggan", side, alpha)
            variables = given.variables(params, alpha)
            x = module.apply(variables, z, given.label, train=False)
            return given.at_full_size(x)

        def images(params, z):
            levels = [given.at(lod) for lod in given.lods]
            found = [image(params, z, *level) for level in levels]
            side, alpha = levels[1]
            return found, image(params, z, side, 1 - alpha)

        found, wrong = given.compiled(images, params, given["in/z"])
        for i, ours in enumerate(found):
            assert given.error(ours, given[f"out/G_lod{i}"]) < 1e-8, i
        # The negative control: the newest layers have the weight of the others.
        assert given.error(wrong, given["out/G_lod1"]) > 1e-3


@slow
@pytest.mark.parametrize("name", ["pggan_32", "pggan_16_labels"])
def test_the_authors_scores(grown_reference, name):
    with jax.enable_x64(True):
        given = grown_reference(name)
        params = given.params("D/", given.discriminator)

        def score(params, x, lod, **own):
            side, alpha = given.at(lod)
            while x.shape[1] > side:
                b, h, _, c = x.shape
                x = x.reshape(b, h // 2, 2, h // 2, 2, c).mean((2, 4))
            module = given.module("Discriminator", "pggan", side, alpha, **own)
            variables = given.variables(params, alpha)
            out, sown = module.apply(
                variables, x, given.label, train=False, mutable=["features"]
            )
            return out, sown["features"].get("classes", (None,))[0]

        def scores(params, real, fake, mixing):
            found = {i: score(params, real, lod) for i, lod in enumerate(given.lods)}
            on_fake, _ = score(params, fake, 0)
            between = real + mixing * (fake - real)
            norms = gradient_norms(lambda x: score(params, x, 0)[0], between)
            on_real = found[0][0]
            loss = on_fake - on_real + 10 * (norms - 1) ** 2 + 1e-3 * on_real**2
            return found, norms, loss

        found, norms, loss = given.compiled(
            scores, params, *(given[f"in/{x}"] for x in ("img", "other_img", "mixing"))
        )
        for i, (scores_, classes) in found.items():
            assert (
                given.error(scores_, given[f"out/D_fused_scores_lod{i}"][:, 0]) < 1e-8
            )
            if classes is not None:
                assert given.error(classes, given[f"out/D_fused_labels_lod{i}"]) < 1e-8
        assert given.error(norms, given["out/mixed_gradient_norms"]) < 1e-8
        assert given.error(loss, given["out/D_loss"]) < 1e-8
        # The negative control: pooling after the activation is another function.
        assert given.error(found[0][0], given["out/D_unfused_scores_lod0"][:, 0]) > 1e-3


@pytest.mark.parametrize(
    "shape, said",
    [((12, 12, 3), "12x12"), ((16, 8, 3), "16x8"), ((2, 2, 3), "2x2")],
)
def test_a_resolution_is_a_power_of_two(shape, said):
    g = networks.make("Generator", "pggan", shape=shape)
    z = jax.ShapeDtypeStruct((1, 4), np.float32)
    with pytest.raises(ValueError, match=f"{said}; accepted are squares of 4, 8"):
        jax.eval_shape(lambda z: g.init(jax.random.key(0), z, train=True), z)


@slow
def test_parameters_of_the_paper():
    """23.1 million each at 1024x1024 (table 2)."""
    for role, wanted in (("Generator", 23.1e6), ("Discriminator", 23.1e6)):
        options = {"shape": (1024, 1024, 3)} if role == "Generator" else {}
        module = networks.make(role, "pggan", **options)
        x = jax.ShapeDtypeStruct(
            (1, 512) if role == "Generator" else (1, 1024, 1024, 3), np.float32
        )
        made = jax.eval_shape(
            lambda x, m=module: m.init(jax.random.key(0), x, train=True), x
        )
        n = sum(leaf.size for leaf in jax.tree.leaves(made["params"]))
        assert abs(n / wanted - 1) < 0.01, (role, n)
