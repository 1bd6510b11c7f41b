"""U-Nets: pix2pix's from image to image, Real-ESRGAN's from image to logits.

arXiv 1611.07004, section 6.1.1, and arXiv 2107.10833, section 3.4.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers import Layers, saved
from gans.layers.conv import Conv, ConvTranspose
from gans.layers.initial import around_one


class Generator(nn.Module):
    """Images [B, H, W, C_in] -> images [B, H, W, C] float32 in [-1, 1].

    Convolutions (4x4, stride 2) with LeakyReLU of slope 0.2 halve the map `depth`
    times, transposed ones with ReLU double it again. Each of the latter sees what the
    former one of its size gave, by concatenation. There is no norm on the image, after
    the first layer or on the smallest map. Dropout is the noise of the model and stays
    when sampling, so that every pass needs a key.

    At a batch of one, batch norm in training is instance norm with `affine`, which
    needs no running statistics; the default. With norm=batch, {"running": False} has
    sampling use the statistics of its own batch, as the authors do, and
    {"unbiased": True} averages variances as PyTorch does.

    H and W are multiples of `multiple`, not necessarily those of `shape`. Raises
    ValueError for other sizes, and for a depth that does not fit.

    Attributes:
      shape: (H, W, C) of the images that it is trained to make.
      width: channels after the first layer; they double three times.
      depth: how often the map is halved; None: as often as `shape` can be, 8 for
        256x256.
      n_dropout: how many layers of the decoder have dropout.
      first_dropout: the first of them, counted from the smallest map: 0 in the paper
        and the authors' Torch code, 1 in their PyTorch code.
      dropout_at_sampling: whether dropout stays when sampling.
      bias: whether the two layers of the encoder without a norm have biases, as in the
        authors' PyTorch code with norm=instance. Layers before a norm never do, for it
        would remove them.
      layers: how layers are made; kernels start from "normal", gains from N(1, 0.02).
    """

    shape: tuple[int, int, int]
    width: int = 64
    depth: int | None = None
    n_dropout: int = 3
    first_dropout: int = 0
    dropout_at_sampling: bool = True
    bias: bool = False
    layers: Layers = Layers(norm={"name": "instance", "affine": True}, dropout=0.5)

    slots = ("norm", "spectral", "equalised", "kernel_init", "dropout", "dtype")

    @property
    def n_halvings(self) -> int:
        """`depth`, or what follows from `shape`."""
        if self.depth is not None:
            return self.depth
        height, width = self.shape[:2]
        return min((n & -n).bit_length() - 1 for n in (height, width))

    @property
    def multiple(self) -> int:
        """What heights and widths must be multiples of."""
        return 2**self.n_halvings

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        depth = self.n_halvings
        self._check(x, depth)
        make = self.layers.factory(
            self, train, kernel_init="normal", gain_init=around_one
        )
        normed = self.layers.norm is not None
        h, n = make.begin(x)
        h = h.astype(self.layers.dtype)
        skips = []
        for i in range(depth):
            last = i in (0, depth - 1)
            h = jax.nn.leaky_relu(h, 0.2) if i else h
            bias = self.bias if last else not normed
            width = self.width * min(2**i, 8)
            h = make(Conv, width, (4, 4), (2, 2), use_bias=bias, name=f"down{i}")(h)
            h = h if last else make.norm(h, f"down{i}_norm")
            skips.append(h)
        for i in reversed(range(1, depth)):
            h = skips[i] if i == depth - 1 else jnp.concatenate([skips[i], h], -1)
            up = _up(make, self.width * min(2 ** (i - 1), 8), f"up{i}", not normed)
            h = make.norm(up(jax.nn.relu(h)), f"up{i}_norm")
            if 0 <= depth - 1 - i - self.first_dropout < self.n_dropout:
                always = self.dropout_at_sampling
                h = make.dropout(h, f"up{i}_dropout", always=always)
        h = jax.nn.relu(jnp.concatenate([skips[0], h], -1))
        h = _up(make, self.shape[-1], "up0", True, gain=1)(h)[n:]
        return jnp.tanh(h.astype(jnp.promote_types(h.dtype, jnp.float32)))

    def _check(self, x, depth):
        if depth < 2:
            height, width = self.shape[:2]
            given = f"depth={self.depth} is less"
            found = f"{height}x{width} are no multiples of 4"
            raise ValueError(
                "a U-Net halves its images at least twice; "
                + (found if self.depth is None else given)
            )
        height, width = x.shape[1:3]
        if height % self.multiple or width % self.multiple:
            raise ValueError(
                f"a U-Net of depth {depth} takes multiples of {self.multiple}, got "
                f"images of {height}x{width}"
            )


def _up(make, features, name, bias, **options):
    return make(
        ConvTranspose,
        features,
        (4, 4),
        (2, 2),
        use_bias=bias,
        # The layout of a convolution: to turn large kernels around takes long.
        transpose_kernel=True,
        name=name,
        **options,
    )


class Discriminator(nn.Module):
    """Images [B, H, W, C] in [-1, 1] -> logits [B, H, W] float32, one for each pixel.

    arXiv 2107.10833, section 3.4, in the layout of its authors' code: a 3x3
    convolution; three of 4x4 with stride 2; three times a bilinear doubling, a 3x3
    convolution, and the sum with what the way down has at that size; two of 3x3, and
    one to the logit. LeakyReLU of slope 0.2 follows all but the last. Kernels are
    spectrally normalised, but those of the first and the last.

    H and W are multiples of 8; ValueError for others.

    Attributes:
      width: channels after the first layer; they double three times.
      layers: how layers are made; kernels start from "lecun".
    """

    width: int = 64
    layers: Layers = Layers(spectral=True)

    slots = ("spectral", "equalised", "kernel_init", "dtype")

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        height, width = x.shape[1:3]
        if height % 8 or width % 8:
            raise ValueError(
                f"this U-Net takes multiples of 8, got images of {height}x{width}"
            )
        make = self.layers.factory(self, train, kernel_init="lecun")
        plain = self.layers.replace(spectral=False).factory(
            self, train, kernel_init="lecun"
        )

        def conv(h, features, name, size=3, stride=1):
            sizes = (size, size), (stride, stride), ((1, 1), (1, 1))
            return make(Conv, features, *sizes, use_bias=False, name=name)(h)

        def active(h):
            return jax.nn.leaky_relu(h, 0.2)

        h = x.astype(self.layers.dtype)
        h = active(plain(Conv, self.width, (3, 3), name="in")(h))
        skips = []
        for i in range(1, 4):
            skips.append(h)
            h = active(conv(h, self.width * 2**i, f"down{i}", 4, 2))
        for i in reversed(range(3)):
            n, height, width, c = h.shape
            size = n, 2 * height, 2 * width, c
            h = jax.image.resize(h, size, "linear", antialias=False)
            h = skips[i] + active(conv(h, self.width * 2**i, f"up{i}"))
        for i in range(2):
            h = active(conv(h, self.width, f"last{i}"))
        logits = plain(Conv, 1, (3, 3), gain=1, name="out")(h)[..., 0]
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))


def from_torch(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns (options of `Generator`, variables) of the authors' PyTorch U-Net.

    Args:
      state: the state dict of its `netG`, in the order of its modules: arrays, kernels
        [O, I, K, K] and transposed ones [I, O, K, K].

    Biases before a norm are left out, because the norm removes them. Whether the
    network had dropout is not in its state: the options have it where the authors'
    training has, and it can be turned off.

    Raises ValueError, naming what it found, if it is none.
    """
    layers = saved.layers(state)
    depth = len(layers) // 2
    what = "a U-Net of the authors of pix2pix"
    shapes = [layer.shape for layer in layers]
    if depth < 2 or len(layers) % 2 or any(shape[2:] != (4, 4) for shape in shapes):
        raise ValueError(f"not {what}: its kernels are {shapes}")
    names = [f"down{i}" for i in range(depth)]
    names += [f"up{i}" for i in reversed(range(depth))]
    norm, bias = saved.norm(layers[1]), layers[0].bias is not None
    inner = {*range(1, depth - 1), *range(depth, 2 * depth - 1)}
    biased = {
        2 * depth - 1,
        *((0, depth - 1) if bias else ()),
        *(() if norm else inner),
    }
    options = {
        "width": shapes[0][0],
        "depth": depth,
        "norm": norm,
        "n_dropout": max(depth - 5, 0),
        "first_dropout": 1,
        "bias": bias,
    }
    norms = [f"{name}_norm" for name in names]
    ups = range(depth, 2 * depth)
    return options, saved.variables(layers, names, norms, biased, ups)


def of_data(options: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what `from_torch`'s results say of the data.

    {"given": channels of the images that it takes, "shape": [H, W, C] of those it
    makes}: its smallest map is one pixel.
    """
    params, side = variables["params"], 2 ** options["depth"]
    given = params["down0"]["kernel"].shape[-2]
    return {"given": given, "shape": (side, side, len(params["up0"]["bias"]))}
