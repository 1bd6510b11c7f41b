"""Generators and discriminators in PyTorch, counterparts of those in gans/networks.

Modules have the names of the Flax layers, so that weights can be copied by name (see
`experiments.benchmarks.torch_reference.weights`). Images are [B, C, H, W].
Conditional networks are not covered.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from experiments.benchmarks.torch_reference import video


def make(role: str, *, network: str, **options) -> nn.Module:
    """Returns the counterpart of `gans.networks.make(role, network, **options)`.

    Takes `shape` (H, W, C) or (2,), `latent`, `bounded` for data in [-1, 1],
    and the options of a player's config.
    Raises ValueError for a network or option without a counterpart.
    """
    cls = NETWORKS.get((role, network))
    if cls is None:
        raise ValueError(f"{network}.{role} has no counterpart in PyTorch")
    for option in ("condition", "n_classes"):
        if options.pop(option, None) is not None:
            raise ValueError(
                f"{network}.{role} with {option} has no counterpart in PyTorch"
            )
    return cls(**options)


class MLPGenerator(nn.Module):
    def __init__(self, shape, latent, widths, bounded=False, **_):
        super().__init__()
        self.bounded = bounded
        self.shape = (shape[-1], *shape[:-1])
        sizes = [latent, *widths]
        self.hidden = [f"dense{i}" for i in range(len(widths))]
        for name, i, o in zip(self.hidden, sizes, sizes[1:], strict=False):
            self.add_module(name, nn.Linear(i, o))
        self.out = nn.Linear(sizes[-1], math.prod(shape))

    def forward(self, z):
        for name in self.hidden:
            z = F.relu(getattr(self, name)(z))
        out = self.out(z).view(-1, *self.shape)
        return torch.tanh(out) if self.bounded else out


class MLPDiscriminator(nn.Module):
    def __init__(self, shape, widths, slope=0.0, dropout=0.0, **_):
        super().__init__()
        self.slope, self.dropout = slope, nn.Dropout(dropout)
        sizes = [math.prod(shape), *widths]
        self.hidden = [f"dense{i}" for i in range(len(widths))]
        for name, i, o in zip(self.hidden, sizes, sizes[1:], strict=False):
            self.add_module(name, nn.Linear(i, o))
        self.out = nn.Linear(sizes[-1], 1)

    def forward(self, x):
        h = x.flatten(1)
        for name in self.hidden:
            h = self.dropout(F.leaky_relu(getattr(self, name)(h), self.slope))
        return self.out(h)[:, 0]


class DCGANGenerator(nn.Module):
    def __init__(
        self, shape, latent, widths, final="transpose", norm="batch", slope=0.0, **_
    ):
        super().__init__()
        self.slope, scale = slope, 2 ** (len(widths) - (final == "conv"))
        self.map = (widths[0], shape[0] // scale, shape[1] // scale)
        self.dense = nn.Linear(latent, math.prod(self.map))
        self.n = len(widths)
        for i, o in enumerate(widths):
            if i:
                deconv = nn.ConvTranspose2d(widths[i - 1], o, 4, 2, 1)
                self.add_module(f"deconv{i}", deconv)
            self.add_module(f"norm{i}", nn.BatchNorm2d(o) if norm else nn.Identity())
        if final == "transpose":
            self.out = nn.ConvTranspose2d(widths[-1], shape[-1], 4, 2, 1)
        else:
            self.out = nn.Conv2d(widths[-1], shape[-1], 3, padding=1)

    def forward(self, z):
        h = self.dense(z).view(-1, *self.map)
        for i in range(self.n):
            if i:
                h = getattr(self, f"deconv{i}")(h)
            h = F.leaky_relu(getattr(self, f"norm{i}")(h), self.slope)
        return torch.tanh(self.out(h))


class DCGANDiscriminator(nn.Module):
    def __init__(
        self,
        shape,
        convolutions,
        norm=None,
        spectral=False,
        slope=0.2,
        dropout=0.0,
        **_,
    ):
        super().__init__()
        self.slope, self.dropout, self.n = slope, nn.Dropout(dropout), len(convolutions)
        channels, height, width = shape[-1], *shape[:2]
        for i, (features, size, stride) in enumerate(convolutions):
            conv = _spectral(_conv(channels, features, size, stride), spectral)
            self.add_module(f"conv{i}", conv)
            batch = nn.BatchNorm2d(features) if norm and i else nn.Identity()
            self.add_module(f"norm{i}", batch)
            channels, height, width = features, height // stride, width // stride
        self.map = (channels, height, width)
        self.out = _spectral(nn.Linear(math.prod(self.map), 1), spectral)

    def forward(self, x):
        for i in range(self.n):
            x = getattr(self, f"norm{i}")(getattr(self, f"conv{i}")(x))
            x = F.leaky_relu(x, self.slope)
        return self.out(self.dropout(x.flatten(1)))[:, 0]


class ResNetGenerator(nn.Module):
    def __init__(self, shape, latent, widths, spectral=False, attention=None, **_):
        super().__init__()
        self.n, scale = len(widths), 2 ** (len(widths) - 1)
        self.map = (widths[0], shape[0] // scale, shape[1] // scale)
        self.dense = _spectral(nn.Linear(latent, math.prod(self.map)), spectral)
        for i in range(1, self.n):
            a, b = widths[i - 1], widths[i]
            layers = {
                "skip": _spectral(nn.Conv2d(a, b, 1), spectral),
                "norm1": nn.BatchNorm2d(a),
                "conv1": _spectral(_conv(a, b, 3), spectral),
                "norm2": nn.BatchNorm2d(b),
                "conv2": _spectral(_conv(b, b, 3), spectral),
            }
            for name, layer in layers.items():
                self.add_module(f"block{i}_{name}", layer)
        self.attended = attention
        if attention:
            i = round(math.log2(attention / self.map[1]))
            self.attention = SelfAttention(widths[i], spectral)
        self.norm = nn.BatchNorm2d(widths[-1])
        self.out = _spectral(_conv(widths[-1], shape[-1], 3), spectral)

    def forward(self, z):
        h = self.dense(z).view(-1, *self.map)
        for i in range(1, self.n):
            layer = {n: getattr(self, f"block{i}_{n}") for n in _GENERATOR_BLOCK}
            skip = layer["skip"](F.interpolate(h, scale_factor=2.0))
            h = F.interpolate(F.relu(layer["norm1"](h)), scale_factor=2.0)
            h = F.relu(layer["norm2"](layer["conv1"](h)))
            h = layer["conv2"](h) + skip
            if h.shape[2] == self.attended:
                h = self.attention(h)
        return torch.tanh(self.out(F.relu(self.norm(h))))


class ResNetDiscriminator(nn.Module):
    def __init__(
        self,
        shape,
        widths,
        n_down=2,
        spectral=False,
        pool="sum",
        attention=None,
        **_,
    ):
        super().__init__()
        self.n, self.n_down, self.pool, channels = len(widths), n_down, pool, shape[-1]
        self.attended = None
        for i, b in enumerate(widths):
            if i < n_down or channels != b:
                skip = _spectral(nn.Conv2d(channels, b, 1), spectral)
                self.add_module(f"block{i}_skip", skip)
            conv1 = _spectral(_conv(channels, b, 3), spectral)
            self.add_module(f"block{i}_conv1", conv1)
            self.add_module(f"block{i}_conv2", _spectral(_conv(b, b, 3), spectral))
            side = shape[0] >> min(i + 1, n_down)
            if side == attention and self.attended is None:
                self.attended, self.attention = i, SelfAttention(b, spectral)
            channels = b
        self.out = _spectral(nn.Linear(channels, 1), spectral)

    def forward(self, x):
        for i in range(self.n):
            halve = i < self.n_down
            skip = x
            if hasattr(self, f"block{i}_skip"):
                # Pooled first at the image, as in the paper's own code.
                skip = F.avg_pool2d(x, 2) if halve and i == 0 else x
                skip = getattr(self, f"block{i}_skip")(skip)
                skip = F.avg_pool2d(skip, 2) if halve and i else skip
            h = getattr(self, f"block{i}_conv1")(F.relu(x) if i else x)
            h = getattr(self, f"block{i}_conv2")(F.relu(h))
            x = (F.avg_pool2d(h, 2) if halve else h) + skip
            if i == self.attended:
                x = self.attention(x)
        h = getattr(torch, self.pool)(F.relu(x), dim=(2, 3))
        return self.out(h)[:, 0]


class SelfAttention(nn.Module):
    def __init__(self, channels, spectral):
        super().__init__()
        few = channels // 8
        for name, i, o in (
            ("f", channels, few),
            ("g", channels, few),
            ("h", channels, few),
            ("v", few, channels),
        ):
            self.add_module(name, _spectral(nn.Conv2d(i, o, 1), spectral))
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        f, g, h = (getattr(self, n)(x).flatten(2) for n in "fgh")  # [B, C / 8, H W]
        weights = torch.softmax(torch.bmm(g.transpose(1, 2), f), dim=-1)
        out = torch.bmm(h, weights.transpose(1, 2))
        return x + self.gamma * self.v(out.view(len(x), -1, *x.shape[2:]))


NETWORKS = {
    ("Generator", "mlp"): MLPGenerator,
    ("Discriminator", "mlp"): MLPDiscriminator,
    ("Generator", "dcgan"): DCGANGenerator,
    ("Discriminator", "dcgan"): DCGANDiscriminator,
    ("Generator", "resnet"): ResNetGenerator,
    ("Discriminator", "resnet"): ResNetDiscriminator,
    ("Generator", "video"): video.Generator,
    ("Discriminator", "video"): video.Discriminator,
}
_GENERATOR_BLOCK = ("skip", "norm1", "conv1", "norm2", "conv2")


class _PaddedAfter(nn.Conv2d):
    """ "SAME" of an odd kernel with stride 2: one more pixel after than before."""

    def forward(self, x):
        return super().forward(F.pad(x, (0, 1, 0, 1)))


def _conv(i, o, size, stride=1):
    """A convolution that divides the size by `stride`, padded like "SAME"."""
    pad = size - stride
    if pad % 2 == 0:
        return nn.Conv2d(i, o, size, stride, pad // 2)
    if pad != 1:
        raise ValueError(
            f"kernel {size} with stride {stride} has no counterpart in PyTorch"
        )
    return _PaddedAfter(i, o, size, stride)


def _spectral(layer, spectral):
    return spectral_norm(layer) if spectral else layer
