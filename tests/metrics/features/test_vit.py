"""DINOv2 and CLIP: against `transformers`, whose numbers are kept in a file beside.

    python -c "import test_vit; test_vit.write()"

in this folder, where torch and transformers are installed, writes the file again.
"""

import dataclasses
import functools
import pathlib
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from PIL import Image
from safetensors.numpy import save_file

from gans.metrics.features import clip, dinov2, vit

FILE = pathlib.Path(__file__).parent / "vit_transformers.npz"
WIDTH, DEPTH, HEADS = 48, 2, 3
KINDS = ("dinov2", "dinov2_other_grid", "clip")
# Offset 0 is the ratio that `transformers` interpolates by.
DINOV2 = dinov2.net(WIDTH, DEPTH, HEADS)._replace(grid=4, offset=0.0)
CLIP = clip.net(32, WIDTH, DEPTH, 20)._replace(heads=HEADS)
NETS = {"dinov2": DINOV2, "dinov2_other_grid": DINOV2, "clip": CLIP}


def images(kind):
    """Normalised images [2, H, W, 3]."""
    size = {"dinov2": (56, 56), "dinov2_other_grid": (84, 98), "clip": (224, 224)}
    draw = np.random.RandomState(7).standard_normal
    return draw((2, *size[kind], 3)).astype(np.float32)


def state(kind, seed=0):
    """Weights as `transformers` names them, {name: [...]}."""
    net = NETS[kind]
    d, n, p = net.width, 1 + net.grid**2, net.patch
    if kind == "clip":
        base, layer = "vision_model.", "vision_model.encoder.layers.{}."
        shapes = {
            f"{base}embeddings.class_embedding": (d,),
            f"{base}embeddings.patch_embedding.weight": (d, 3, p, p),
            f"{base}embeddings.position_embedding.weight": (n, d),
            "visual_projection.weight": (net.projection, d),
        }
        norms = [f"{base}pre_layrnorm", f"{base}post_layernorm"]
        block = {f"self_attn.{x}_proj": (d, d) for x in ("q", "k", "v", "out")}
        norms_of_block = ["layer_norm1", "layer_norm2"]
    else:
        layer, norms, norms_of_block = "encoder.layer.{}.", ["layernorm"], []
        shapes = {
            "embeddings.cls_token": (1, 1, d),
            "embeddings.mask_token": (1, d),
            "embeddings.position_embeddings": (1, n, d),
            "embeddings.patch_embeddings.projection.weight": (d, 3, p, p),
            "embeddings.patch_embeddings.projection.bias": (d,),
        }
        attention = "attention.attention."
        block = {f"{attention}{x}": (d, d) for x in ("query", "key", "value")}
        block["attention.output.dense"] = (d, d)
        norms_of_block = ["norm1", "norm2"]
    block |= {"mlp.fc1": (4 * d, d), "mlp.fc2": (d, 4 * d)}
    for i in range(net.depth):
        at = layer.format(i)
        for name, shape in block.items():
            shapes |= {f"{at}{name}.weight": shape, f"{at}{name}.bias": shape[:1]}
        norms += [at + name for name in norms_of_block]
        if kind != "clip":
            scales = {f"{at}layer_scale{x}.lambda1": (d,) for x in (1, 2)}
            shapes |= scales
    for name in norms:
        shapes |= {f"{name}.weight": (d,), f"{name}.bias": (d,)}
    draw = np.random.RandomState(seed).standard_normal
    return {
        name: (draw(shape) * (0.7 if len(shape) == 1 else 0.15)).astype(np.float32)
        for name, shape in shapes.items()
    }


def reference(kind):
    """Features [2, D] of `transformers`; needs it, and torch."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    net = NETS[kind]
    sizes = {
        "hidden_size": net.width,
        "num_hidden_layers": net.depth,
        "num_attention_heads": net.heads,
        "patch_size": net.patch,
        "image_size": net.patch * net.grid,
        "attn_implementation": "eager",
    }
    if kind == "clip":
        config = transformers.CLIPVisionConfig(
            **sizes, intermediate_size=4 * net.width, projection_dim=net.projection
        )
        kind_of = transformers.CLIPVisionModelWithProjection
    else:
        config, kind_of = transformers.Dinov2Config(**sizes), transformers.Dinov2Model
    with tempfile.TemporaryDirectory() as folder:  # names are those of files
        config.save_pretrained(folder)
        path = f"{folder}/model.safetensors"
        save_file(state(kind), path, metadata={"format": "pt"})
        model, found = kind_of.from_pretrained(folder, output_loading_info=True)
    assert not any(found.values()), found
    with torch.no_grad():
        out = model.eval()(torch.from_numpy(images(kind).transpose(0, 3, 1, 2)))
    return (out.image_embeds if kind == "clip" else out.pooler_output).numpy()


def write():
    """Writes the file of numbers."""
    np.savez(FILE, **{kind: reference(kind) for kind in KINDS})


def module(kind):
    return clip if kind == "clip" else dinov2


@functools.cache
def encoder(net):
    return jax.jit(vit.Encoder(net).apply)


def features(kind, arrays=None, net=None):
    net = net or NETS[kind]
    arrays = state(kind) if arrays is None else arrays
    variables = module(kind).from_state(arrays, net, "x.pth")
    return np.asarray(encoder(net)(variables, images(kind)))


def error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize(
    "kind", [pytest.param("dinov2", marks=pytest.mark.slow), *KINDS[1:]]
)
def test_as_transformers(kind):
    with np.load(FILE) as kept:
        assert error(features(kind), kept[kind]) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_kept_are_those_of_transformers(kind):
    with np.load(FILE) as kept:
        assert error(kept[kind], reference(kind)) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, change",
    [
        ("dinov2", {"activation": nn.gelu}),  # by tanh
        ("dinov2", {"epsilon": 1e-2}),
        ("dinov2", {"heads": 4}),
        ("dinov2_other_grid", {"offset": 0.1}),
        ("clip", {"activation": functools.partial(nn.gelu, approximate=False)}),
        ("clip", {"epsilon": 1e-2}),
    ],
)
def test_another_network_is_noticed(kind, change):
    with np.load(FILE) as kept:
        assert error(features(kind, net=NETS[kind]._replace(**change)), kept[kind]) > (
            1e-4
        )


def test_other_weights_are_noticed():
    kind = "dinov2_other_grid"
    with np.load(FILE) as kept:
        for name in ("encoder.layer.1.layer_scale2.lambda1", "embeddings.cls_token"):
            changed = state(kind)
            changed[name] = changed[name] * 1.01
            assert error(features(kind, changed), kept[kind]) > 1e-4, name


# --- the authors' names ---------------------------------------------------------------


def of_authors(kind):
    """The same weights as DINOv2's and CLIP's authors store them."""
    if kind == "clip":
        table = {
            "vision_model.embeddings.class_embedding": "class_embedding",
            "vision_model.embeddings.position_embedding.weight": "positional_embedding",
            "vision_model.embeddings.patch_embedding": "conv1",
            "vision_model.pre_layrnorm": "ln_pre",
            "vision_model.post_layernorm": "ln_post",
            "vision_model.encoder.layers": "transformer.resblocks",
            "layer_norm": "ln_",
            "mlp.fc1": "mlp.c_fc",
            "mlp.fc2": "mlp.c_proj",
            "self_attn.out_proj": "attn.out_proj",
            "visual_projection.weight": "proj",
        }
        parts, joined = ("q_proj", "k_proj", "v_proj"), "attn.in_proj_"
    else:
        table = {
            "embeddings.cls_token": "cls_token",
            "embeddings.mask_token": "mask_token",
            "embeddings.position_embeddings": "pos_embed",
            "embeddings.patch_embeddings.projection": "patch_embed.proj",
            "layernorm": "norm",
            "encoder.layer": "blocks",
            "attention.output.dense": "attn.proj",
            "layer_scale1.lambda1": "ls1.gamma",
            "layer_scale2.lambda1": "ls2.gamma",
        }
        parts, joined = ("query", "key", "value"), "attn.qkv."
    found, arrays = {}, state(kind)
    for name, x in arrays.items():
        if any(part in name for part in parts[1:]):
            continue
        if parts[0] in name:
            x = np.concatenate([arrays[name.replace(parts[0], p)] for p in parts])
            for inside in (
                f"self_attn.{parts[0]}.",
                f"attention.attention.{parts[0]}.",
            ):
                name = name.replace(inside, joined)
        for there, here in table.items():
            name = name.replace(there, here)
        found[f"visual.{name}" if kind == "clip" else name] = x
    if kind == "clip":
        found["visual.proj"] = found["visual.proj"].T
        found["token_embedding.weight"] = np.zeros((5, 4))  # of the text
    return found


@pytest.mark.parametrize("kind", ["dinov2", "clip"])
def test_the_authors_names(kind):
    arrays, net = of_authors(kind), NETS[kind]
    assert not set(arrays) & set(state(kind))
    found, wanted = (
        module(kind).from_state(x, net, "x.pth") for x in (arrays, state(kind))
    )
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


@pytest.mark.parametrize("names", [state, of_authors])
def test_weights_that_do_not_fit_are_named(names):
    arrays = names("dinov2")
    last = [x for x in arrays if x.endswith("norm.bias")][-1]
    rest = {name: x for name, x in arrays.items() if name != last}
    with pytest.raises(ValueError, match="x.pth: no weights 'norm/bias'"):
        features("dinov2", rest)
    with pytest.raises(ValueError, match=r"'position' have shape \(17, 48\).*26, 48"):
        features("dinov2", arrays, DINOV2._replace(grid=5))
    registers = {"register_tokens": np.zeros((1, 4, WIDTH))}
    with pytest.raises(ValueError, match="unknown weights 'register_tokens'"):
        features("dinov2", arrays | registers)


@pytest.mark.slow
def test_sizes_as_published():
    """Counts of the papers' models, image towers alone, positions of 518 pixels."""

    def n_values(net):
        x = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
        tree = jax.eval_shape(vit.Encoder(net).init, jax.random.key(0), x)
        return sum(leaf.size for leaf in jax.tree.leaves(tree))

    nets = dinov2.NETS | clip.NETS
    # transformers' num_parameters(), less the mask token of the former.
    expected = {
        "dinov2_vits14": 22_056_576 - 384,
        "dinov2_vitb14": 86_580_480 - 768,
        "dinov2_vitl14": 304_368_640 - 1024,
        "clip_vitb32": 87_849_216,
        "clip_vitl14": 303_966_208,
    }
    assert {name: n_values(net) for name, net in nets.items()} == expected


# --- positions, and preparing pictures ------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("grid", [(16, 16), (5, 9), (40, 37)])
@pytest.mark.parametrize("offset", [0.1, 0.0])
def test_positions_against_torch(grid, offset):
    torch = pytest.importorskip("torch")
    at = np.random.RandomState(3).standard_normal((1 + 37**2, 4)).astype(np.float32)
    cells = torch.from_numpy(at[1:].reshape(1, 37, 37, 4).transpose(0, 3, 1, 2))
    factors = [(n + offset) / 37 for n in grid]
    wanted = torch.nn.functional.interpolate(
        cells,
        mode="bicubic",
        **({"scale_factor": factors} if offset else {"size": grid}),
    )
    wanted = wanted.numpy()[0].transpose(1, 2, 0).reshape(-1, 4)
    found = np.asarray(vit.positions(jnp.asarray(at), grid, offset))
    np.testing.assert_array_equal(found[0], at[0])
    assert error(found[1:], wanted) < 1e-5
    other = np.asarray(vit.positions(jnp.asarray(at), grid, 0.1 - offset))
    assert error(other[1:], wanted) > 1e-3


def in_pillow(x, sides, box):
    """Resized in levels of 8 bits and cut, as the authors' code does: [h, w, 3]."""
    resized = Image.fromarray(x).resize(sides[::-1], Image.Resampling.BICUBIC)
    top, left = box
    return np.asarray(resized)[top : top + 224, left : left + 224]


@pytest.mark.parametrize(
    "which, sides, box",
    [(dinov2, (224, 224), (0, 0)), (clip, (267, 224), (22, 0))],  # (267 - 224) / 2
)
def test_pictures_are_prepared_as_published_but_for_rounding(which, sides, box):
    # Smooth, with edges: 300 x 251 pixels.
    y, x = np.mgrid[:300, :251] / 40
    levels = 127.5 + 127.5 * np.sin(np.stack([x * y, 3 * x, y + (x > 3)], -1))
    picture = levels.astype(np.uint8)
    mean, std = jnp.array(which.MEAN), jnp.array(which.STD)
    found = (which.preprocess(picture[None])[0] * std + mean) * 255
    wanted = in_pillow(picture, sides, box)
    assert found.shape == wanted.shape == (224, 224, 3)
    difference = np.abs(np.asarray(found) - wanted)
    assert difference.max() < 1.1 and 0.1 < difference.mean() < 0.35
    shifted = np.abs(np.asarray(found)[1:] - wanted[:-1])
    assert shifted.mean() > 1


@pytest.mark.parametrize("name", ["dinov2_vits14", "clip_vitb32"])
def test_the_protocol_says_what_the_numbers_depend_on(name):
    made = module(name.partition("_")[0]).make(name, {}, sha256="abc")
    assert dataclasses.asdict(made)["name"] == name
    assert made.protocol["weights"] == "abc" and "224" in made.protocol["resize"]


def test_grey_is_repeated_and_floats_are_seen():
    grey = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 1), np.uint8)
    for which in (clip, dinov2):
        both = [which.preprocess(x) for x in (grey, np.repeat(grey, 3, -1))]
        np.testing.assert_array_equal(*both)
        assert (which.preprocess(grey + np.float32(0.25)) != both[0]).any()
