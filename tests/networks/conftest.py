"""Networks with weights that take no compilation to draw, and networks against the
numbers of PyTorch code that others use, in float64."""

import functools
import json
import pathlib
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.traverse_util import unflatten_dict

from gans import networks
from gans.core import Bound
from gans.layers.resample import upsample


@pytest.fixture(scope="session")
def bound():
    """bound(module, *inputs, train=False) -> Bound."""
    return close


@pytest.fixture(scope="session")
def run():
    """run(net, *inputs, key=None) -> what the Bound yields, compiled with no effort."""

    def call(net, *inputs, key=None):
        quick = {"xla_backend_optimization_level": 0}
        passes = jax.jit(lambda *inputs: net(*inputs, key=key), compiler_options=quick)
        return passes(*inputs)

    return call


def close(module, *inputs, train=False):
    """The network closed over weights of deviation 0.3, always the same ones.

    Running variances are 1, spectral norm's vectors have norm 1, and virtual batch norm
    has no reference yet.
    """
    rng = np.random.default_rng(0)

    def draw(path, p):
        name = path[-1].key.split("/")[-1]
        w = 0.3 * rng.normal(size=p.shape)
        if name == "u":
            w /= np.linalg.norm(w)
        w = np.zeros(p.shape) if path[0].key == "reference" else w
        return jnp.asarray(np.ones(p.shape) if name == "var" else w, p.dtype)

    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    init = functools.partial(module.init, train=True)
    shapes = dict(jax.eval_shape(init, keys, *inputs))
    shapes.pop("features", None)
    variables = jax.tree_util.tree_map_with_path(draw, shapes)
    return Bound(module, variables.pop("params"), variables, train)


@pytest.fixture(scope="session")
def authors():
    """What compares with numbers of the authors' PyTorch code; skips without them."""
    return types.SimpleNamespace(Reference=Reference, errors=errors, rules=rules)


FOLDER = pathlib.Path(__file__).parents[3] / "shared/reference/parity"
QUICK = {"xla_backend_optimization_level": 0}


def rules():
    """The numbers that need no arrays."""
    path = FOLDER / "image_translation/rules.json"
    if not path.exists():
        pytest.skip(f"{path.name} is not in ../shared/reference/parity")
    return json.loads(path.read_text())


class Reference:
    """The arrays of a file in float64, channels last, and its state dict."""

    def __init__(self, name, folder="image_translation"):
        path = FOLDER / folder / f"{name}.npz"
        if not path.exists():
            pytest.skip(f"{path.name} is not in ../shared/reference/parity")
        with np.load(path) as file:
            self.arrays = {k: file[k] for k in file.files}
        self.meta = json.loads(str(self.arrays.pop("meta")))
        self.state = {
            k.removeprefix("w/"): v.astype(np.float64)
            for k, v in self.arrays.items()
            if k.startswith("w/")
        }

    def __getitem__(self, name):
        """An array of images, [B, H, W, C], or of logits [B]."""
        x = self.arrays[name].astype(np.float64)
        return np.moveaxis(x, 1, -1) if x.ndim > 2 else x.reshape(len(x))

    def named(self, from_torch, tree, collection="params"):
        """{name in torch: our array} of a tree that is like the network's."""
        marks = {k: i + 1 for i, k in enumerate(self.state)}
        marked = {k: np.full(v.shape, marks[k]) for k, v in self.state.items()}
        marked = jax.tree.leaves(from_torch(marked)[1][collection])
        torch = {mark: name for name, mark in marks.items()}
        arrays = zip(marked, jax.tree.leaves(tree), strict=True)
        return {torch[m.flat[0]]: np.asarray(x) for m, x in arrays if m.flat[0]}


def errors(
    reference,
    role,
    network,
    from_torch,
    *,
    masks=None,
    training=True,
    given=lambda x: x,
    made=lambda y: y,
    **changed,
):
    """{what is compared: its largest error, as a share of the largest value}.

    masks: by height, of dropout in training. training: whether that is compared, too.
    given, made: theirs to our input, and our output to theirs. changed: options that
    are.
    """
    with jax.enable_x64(True):
        options, variables = from_torch(reference.state)
        options |= {"dtype": "float64", **changed}
        if role == "Generator":
            options = {"shape": reference["eval/out"].shape[1:], **options}
        module = networks.make(role, network, **options)
        stats = {k: v for k, v in variables.items() if k != "params"}

        def multiplied(call, args, kwargs, context):
            drops = isinstance(context.module, nn.Dropout) and masks is not None
            if not drops or context.module.deterministic:
                return call(*args, **kwargs)
            return args[0] * masks[args[0].shape[1]]

        def run(params, x, train):
            with nn.intercept_methods(multiplied):
                y, after = module.apply(
                    {"params": params, **stats}, given(x), train=train, mutable=[*stats]
                )
            return made(y), after

        def trained(params, x, cotangent):
            def total(params, x):
                out, after = run(params, x, True)
                out = out.reshape(cotangent.shape or out.shape)
                return jnp.sum(out * cotangent), (out, after)

            return jax.grad(total, (0, 1), has_aux=True)(params, x)

        def compiled(f, *args):
            return jax.device_get(jax.jit(f, compiler_options=QUICK)(*args))

        x, params = reference["x"], variables["params"]
        found = {}
        out = compiled(lambda p, x: run(p, x, False)[0], params, x)
        found["eval/out"] = out.reshape(reference["eval/out"].shape)
        if not training:
            return _shares(found, {"eval/out": reference["eval/out"]})
        # Of a network that is the same in training there is only the one pass.
        mode = "train" if "train/out" in reference.arrays else "eval"
        cotangent = np.ones(())
        if f"{mode}/cotangent" in reference.arrays:
            cotangent = reference[f"{mode}/cotangent"]
        grads, (out, after) = compiled(trained, params, x, cotangent)
        found[f"{mode}/out"] = out.reshape(reference[f"{mode}/out"].shape)
        expected = {name: reference[name] for name in found}
        if f"{mode}/cotangent" in reference.arrays:
            kept = expected["grad_in"] = reference[f"{mode}/grad_in"]
            # Of large inputs only the first example, every second row and column.
            whole = kept.shape == grads[1].shape
            found["grad_in"] = grads[1] if whole else grads[1][:1, ::2, ::2]
            norms = reference.arrays[f"{mode}/grad_norms"]
            names = reference.arrays[f"{mode}/grad_names"]
            ours = reference.named(from_torch, grads[0])
            ours = {k: np.linalg.norm(v) for k, v in ours.items()}
            # What is not there is a bias that a norm removes, of gradient 0.
            found["grad_norms"] = np.array([ours.get(n, 0.0) for n in names])
            expected["grad_norms"] = norms
        if "train_batch1/out" in reference.arrays:
            first = compiled(lambda p, x: run(p, x, True)[0], params, x[:1])
            found["train_batch1/out"] = first
            expected["train_batch1/out"] = reference["train_batch1/out"]
        if stats:
            kept = reference.named(from_torch, after["batch_stats"], "batch_stats")
            found |= {f"after_train/{k}": v for k, v in kept.items()}
            expected |= {k: reference.arrays[k] for k in found if "after" in k}
    return _shares(found, expected)


def _shares(found, expected):
    return {
        k: np.abs(found[k] - v).max() / np.abs(v).max() for k, v in expected.items()
    }


QUICK = {"xla_backend_optimization_level": 0}


@pytest.fixture(scope="session")
def grown_reference(style_reference):
    """grown_reference("pggan_32") -> what that file has, see `Grown`."""
    return functools.partial(Grown, style_reference)


class Grown:
    """A file of the authors' TensorFlow networks of growing resolution, in float64.

    Attributes:
      hyper: what the file says of itself.
      options: of our networks, but for the shape.
    """

    def __init__(self, load, name):
        self.hyper, self.arrays = load(name)
        told = self.hyper["kwargs"]
        self.resolution, self.n_classes = told["resolution"], told["label_size"] or None
        self.lods = self.arrays["in/lods"]
        # Channels of resolution r are min(2 * fmap_base / r, fmap_max).
        self.options = {
            "channel_base": 2 * told["fmap_base"],
            "channel_max": told["fmap_max"],
            "n_classes": self.n_classes,
            "dtype": "float64",
        }
        labels = self.arrays["in/labels"]
        self.label = labels.argmax(1) if labels.shape[1] else None

    def __getitem__(self, name):
        x = np.asarray(self.arrays[name], np.float64)
        return np.moveaxis(x, 1, -1) if x.ndim == 4 else x

    def at(self, lod):
        """(side of the stage, alpha or None) of their level of detail."""
        side = self.resolution >> int(np.floor(lod))
        return side, None if lod == np.floor(lod) else 1 - (lod - np.floor(lod))

    def module(self, role, network, side, alpha, **own):
        options = {**self.options, **own, "fading": alpha is not None}
        if role == "Generator":
            options["shape"] = (side, side, 3)
        return networks.make(role, network, **options)

    def params(self, prefix, array):
        """{path: array} of our tree, by array(name, x) -> (path, x) or None."""
        found = {}
        for name, x in self.arrays.items():
            if name.startswith(prefix):
                made = array(name.removeprefix(prefix), np.asarray(x, np.float64))
                found |= {} if made is None else {tuple(made[0].split("/")): made[1]}
        return unflatten_dict(found)

    def side_of(self, lod):
        return self.resolution >> int(lod)

    def discriminator(self, name, x):
        """The path and the array of one of their discriminator's."""
        kind = {"weight": "kernel", "bias": "bias"}[name.rpartition("/")[2]]
        if found := re.match(r"FromRGB_lod(\d+)/", name):
            return f"fromrgb{self.side_of(found[1])}/layer/{kind}", x
        if found := re.match(r"4x4/(Conv|Dense0|Dense1)/", name):
            ours = {"Conv": "b4_conv", "Dense0": "dense", "Dense1": "out"}[found[1]]
            if ours == "dense" and kind == "kernel":  # channels first in theirs
                x = x.reshape(-1, 4, 4, x.shape[1]).transpose(1, 2, 0, 3)
                x = x.reshape(-1, x.shape[-1])
            return f"{ours}/layer/{kind}", x
        found = re.match(r"(\d+)x\d+/Conv(\d)", name)
        return f"b{found[1]}_conv{found[2]}/layer/{kind}", x

    def variables(self, params, alpha):
        """Of our network, with the weight of its newest layers."""
        faded = {} if alpha is None else {"fade": {"alpha": np.float64(alpha)}}
        return {"params": params, **faded}

    def at_full_size(self, x):
        while x.shape[1] < self.resolution:
            x = upsample(x)
        return x

    @staticmethod
    def compiled(f, *args):
        return jax.device_get(jax.jit(f, compiler_options=QUICK)(*args))

    @staticmethod
    def error(ours, theirs):
        """The largest, as a share of the largest value; of the first if fewer."""
        ours = np.asarray(ours)[: len(theirs)]
        assert ours.shape == theirs.shape
        return np.abs(ours - theirs).max() / np.abs(theirs).max()
