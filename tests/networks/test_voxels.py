"""3D-GAN's networks: the authors' numbers, and shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from scipy.special import erfinv

from gans import networks
from gans.losses import adversarial

QUICK = {"xla_backend_optimization_level": 0}


@pytest.fixture(scope="module")
def reference(authors):
    return authors.Reference("gan3d", "voxels")


def nested(state):
    """Arrays by the names of the source as {network: {collection: tree}} of ours."""
    found = {}
    of_norm = {"weight": "scale", "bias": "bias"}
    for name, x in state.items():
        net, layer, kind = name.split("/")[0].lower(), *name.split("/")[1].split(".", 1)
        i = int(layer.removeprefix("layer")) - 1
        place, _, what = kind.partition(".")
        if place == "1" and what in of_norm:
            found[net, "params", f"norm{i}", "batch", of_norm[what]] = x
        elif place == "1":
            path = (f"norm{i}", "batch", what.removeprefix("running_"))
            found[net, "batch_stats", *path] = x
        elif net == "d":
            layer = f"conv{i}" if i < 4 else "out"
            found[net, "params", layer, "kernel"] = np.moveaxis(x, (0, 1), (-1, -2))
        elif i == 0:  # a transposed convolution of one voxel
            kernel = np.moveaxis(x, 1, -1).reshape(len(x), -1)
            found[net, "params", "dense", "kernel"] = kernel
        else:
            kernel = np.flip(np.moveaxis(x, (0, 1), (-2, -1)), (0, 1, 2))
            found[net, "params", f"deconv{i}", "kernel"] = kernel
    return unflatten_dict(found)


@pytest.fixture(scope="module")
def numbers(reference):
    """f(change) -> {what is compared: its largest error, as a share of the values}."""
    widths = tuple(reference.meta["widths"])
    options = {"norm": "batch", "dtype": "float64"}
    g = networks.make(
        "Generator", "voxels", shape=(64, 64, 64, 1), widths=widths[::-1], **options
    )
    d = networks.make("Discriminator", "voxels", widths=widths, **options)
    arrays = reference.arrays

    def run(change=lambda variables: variables):
        with jax.enable_x64(True):
            variables = change(nested(reference.state))
            z = np.sqrt(2) * erfinv(2 * arrays["z"].astype(np.float64) - 1)
            packed = np.unpackbits(arrays["real_packed"], axis=-1)
            real = 2.0 * packed.reshape(-1, 64, 64, 64, 1) - 1

            def passes(variables, z, real):
                def apply(module, name, x, train):
                    y, _ = module.apply(
                        variables[name], x, train=train, mutable=["batch_stats"]
                    )
                    return y

                found = {}
                for mode in ("eval", "train"):
                    train = mode == "train"
                    fake = apply(g, "g", z, train)
                    found[mode] = (
                        fake,
                        apply(d, "d", real, train),
                        apply(d, "d", fake, train),
                    )
                loss = adversarial.non_saturating()
                on_real, on_fake = found["train"][1:]
                costs = [x.mean() for x in loss.discriminator(on_real, on_fake)]
                costs.append(loss.generator(on_fake)[0].mean())
                return found, costs

            passes = jax.jit(passes, compiler_options=QUICK)
            found, costs = jax.device_get(passes(variables, z, real))
        compared = {}
        for mode, (fake, on_real, on_fake) in found.items():
            p = (fake[..., 0] + 1) / 2
            part = arrays[f"{mode}/voxels_subsampled"][:, 0]
            compared[f"{mode}/voxels"] = p[:, ::4, ::4, ::4], part
            of_fake = {"eval": "d_of_voxels", "train": "d_fake"}[mode]
            for name, logits in ((of_fake, on_fake), ("d_real", on_real)):
                said = arrays[f"{mode}/{name}"]
                compared[f"{mode}/{name}"] = 1 / (1 + np.exp(-logits)), said
            if mode == "eval":
                compared["mean"] = p.mean((1, 2, 3)), arrays["eval/voxels_mean"]
        for name, cost in zip(
            ("d_real", "d_fake", "g_nonsaturating"), costs, strict=True
        ):
            compared[f"losses/{name}"] = cost, reference.meta["losses"][name]
        right = np.mean([*(found["train"][1] > 0), *(found["train"][2] < 0)])
        compared["losses/accuracy"] = right, reference.meta["losses"]["accuracy"]
        return {
            name: np.abs(x - expected).max() / np.abs(expected).max()
            for name, (x, expected) in compared.items()
        }

    return run


@pytest.mark.slow
def test_volumes_scores_and_losses_are_theirs(numbers):
    errors = numbers()
    assert max(errors.values()) < 1e-5, errors


@pytest.mark.slow
def test_kernels_that_are_not_flipped_are_found(numbers):
    """The negative control: a correlation in place of a transposed convolution."""

    def unflipped(variables):
        kernel = variables["g"]["params"]["deconv2"]["kernel"]
        variables["g"]["params"]["deconv2"]["kernel"] = kernel[::-1, ::-1, ::-1]
        return variables

    errors = numbers(unflipped)
    assert errors["eval/voxels"] > 1e-2 and errors["eval/d_real"] < 1e-5


@pytest.mark.parametrize("shape", [(32, 32, 32, 1), (16, 8, 24, 2)])
def test_networks_take_other_sizes(shape):
    def passes(key):
        g = networks.make(
            "Generator", "voxels", shape=shape, widths=(8, 4, 2), norm="batch"
        )
        d = networks.make("Discriminator", "voxels", widths=(2, 4, 8))
        made, _ = g.init_with_output(key, jnp.zeros((2, 5)), train=True)
        return made, d.init_with_output(key, made, train=True)[0]

    made, logits = jax.eval_shape(passes, jax.random.key(0))
    assert made.shape == (2, *shape) and logits.shape == (2,)


def test_a_volume_that_widths_do_not_divide():
    g = networks.make("Generator", "voxels", shape=(30, 30, 30, 1), widths=(8, 4, 2))
    with pytest.raises(ValueError, match="enlarge by 8, which does not divide the vol"):
        jax.eval_shape(
            lambda key: g.init(key, jnp.zeros((2, 5)), train=True), jax.random.key(0)
        )
