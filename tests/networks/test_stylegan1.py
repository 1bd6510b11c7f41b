"""StyleGAN 1's networks: the authors' numbers at each level of detail."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

FILES = [pytest.param("stylegan1_32", marks=pytest.mark.slow), "stylegan1_16_labels"]


def mapping(given):
    """Their mapping network's arrays in our tree, and the width of ours.

    Layers of theirs may have several widths; the narrower have zeros in ours.
    """
    widths = [
        len(x) for k, x in given.arrays.items() if re.match(r"mapping/Dense\d+/bias", k)
    ]
    width = max(widths)

    def array(name, x):
        if name.startswith("LabelConcat"):
            return "mapping/embed", x
        number, kind = re.match(r"Dense(\d+)/(\w+)", name).groups()
        if kind == "bias":  # of which the gain is before it in theirs
            x = np.pad(x, (0, width - len(x))) / 2**0.5
        else:
            x = np.pad(x, ((0, 0), (0, width - x.shape[1])))
        return f"mapping/fc{number}/{'kernel' if kind == 'weight' else kind}", x

    return given.params("mapping/", array), width, len(widths)


def synthesis(given, width):
    def array(name, x):
        if name.startswith("noise"):
            return None
        if name == "4x4/Const/const":
            return "const", x[0].transpose(1, 2, 0)
        kind = {"weight": "kernel", "bias": "bias"}.get(name.rpartition("/")[2])
        if found := re.match(r"ToRGB_lod(\d+)/", name):
            return f"torgb{given.side_of(found[1])}/{kind}", x
        side, layer, rest = re.match(r"(\d+)x\d+/(\w+?)/(.+)", name).groups()
        number = {"Const": 0, "Conv": 1, "Conv0_up": 0, "Conv1": 1}[layer]
        where = f"b{side}_conv{number}"
        if rest == "Noise/weight":
            return f"{where}/noise_strength", x
        if rest.startswith("StyleMod"):
            if kind == "kernel":
                x = x * (width / len(x)) ** 0.5
                x = np.pad(x, ((0, width - len(x)), (0, 0)))
            return f"{where}/affine/{kind}", x
        return f"{where}/{kind}", x

    return given.params("synthesis/", array)


@pytest.mark.parametrize("name", FILES)
def test_the_authors_images(grown_reference, name):
    with jax.enable_x64(True):
        given = grown_reference(name)
        first, width, depth = mapping(given)
        params = first | synthesis(given, width)
        n_ws = 2 * int(np.log2(given.resolution)) - 2
        planes = {
            f"b{4 << i // 2}_noise{i % 2}": given.arrays[f"synthesis/noise{i}"][0, 0]
            for i in range(n_ws)
        }
        average = given["in/dlatent_avg"]
        average = np.pad(average, (0, width - len(average)))
        options = {"w_dim": width, "mapping_layers": depth}

        def run(params, side, alpha, *args, **kwargs):
            module = given.module("Generator", "stylegan1", side, alpha, **options)
            variables = given.variables(params, alpha)
            variables |= {"style": {"w_avg": average}, "noise": planes}
            return module.apply(variables, *args, train=False, **kwargs)

        def drawn(params, ws, lod=0.0, noise="const", alpha=None):
            side, own = given.at(lod)
            n = 2 * int(np.log2(side)) - 2
            x = run(params, side, own if alpha is None else alpha, ws[:, :n],
                    noise=noise, method="synthesis")  # fmt: skip
            return given.at_full_size(x)

        def images(params, z):
            ws = run(params, given.resolution, None, z, given.label, method="mapping")
            few = jnp.arange(n_ws)[:, None] < given.hyper["truncation"]["cutoff"]
            found = {
                f"out/img_lod{i}": drawn(params, ws, lod)
                for i, lod in enumerate(given.lods)
            }
            found["out/w"] = ws[:, 0]
            near = jnp.where(few, average + 0.7 * (ws - average), ws)
            found["out/img_psi0.7"] = drawn(params, near)
            mixed = jnp.where(jnp.arange(n_ws)[:, None] < 3, ws, ws[::-1])
            found["out/img_mixed_from3_with_reversed_batch"] = drawn(params, mixed)
            return found, (
                drawn(params, ws, noise="none"),
                drawn(params, ws, given.lods[1], alpha=0.9),
            )

        found, (silent, other) = given.compiled(images, params, given["in/z"])
        found["out/w"] = found["out/w"][:, : given["out/w"].shape[1]]
        for key, ours in found.items():
            assert given.error(ours, given[key]) < 1e-8, key
        # The negative controls: no noise, and another weight of the newest layers.
        assert given.error(silent, given["out/img_lod0"]) > 1e-3
        assert given.error(other, given["out/img_lod1"]) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stylegan1_32", "stylegan1_16_labels"])
def test_the_authors_scores(grown_reference, name):
    with jax.enable_x64(True):
        given = grown_reference(name)
        params = given.params("D/", given.discriminator)

        def score(params, x, lod, **own):
            side, alpha = given.at(lod)
            while x.shape[1] > side:
                b, h, _, c = x.shape
                x = x.reshape(b, h // 2, 2, h // 2, 2, c).mean((2, 4))
            module = given.module("Discriminator", "stylegan1", side, alpha, **own)
            variables = given.variables(params, alpha)
            return module.apply(variables, x, given.label, train=False)

        def penalty(params, x):
            slopes = jax.grad(lambda x: score(params, x, 0).sum())(x)
            squares = (slopes**2).sum((1, 2, 3))
            scores = [score(params, x, lod) for lod in given.lods]
            plain = score(params, x, 0, blur=False)
            return 5 * squares.mean(), (slopes, squares, scores, plain)

        grads, (slopes, squares, scores, plain) = given.compiled(
            jax.grad(penalty, has_aux=True), params, given["in/img"]
        )
        for i, ours in enumerate(scores):
            assert given.error(ours, given[f"out/scores_lod{i}"][:, 0]) < 1e-8
        assert given.error(slopes, given["out/r1_grads"]) < 1e-6  # stored in float32
        assert given.error(squares, given["out/r1_penalty"]) < 1e-8
        norm = np.linalg.norm(grads[f"b{given.resolution}_conv0"]["layer"]["kernel"])
        r = given.resolution
        wanted = float(given[f"out/r1_dnorm/{r}x{r}/Conv0/weight"])
        assert norm == pytest.approx(wanted, rel=1e-7)
        # The negative control: without the blur.
        assert given.error(plain, given["out/scores_lod0"][:, 0]) > 1e-3
