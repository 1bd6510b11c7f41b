"""StyleGAN2's networks in PyTorch, by its operators alone: no kernels of their own.

Arrays have the names of the public implementation's state dict. Modulated convolutions
are done in either of the usual ways, `MODULATED`: as one convolution in groups, one for
each example, or as one of scaled activations.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


def lrelu(x):
    """With the gain that keeps its variance."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def _taps(x):
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device) / 8
    return torch.outer(taps, taps).expand(x.shape[1], 1, 4, 4)


def filtered(x, pad, stride=1, gain=1.0):
    """x [B, C, H, W], by the filter [1, 3, 3, 1] in both directions."""
    return F.conv2d(x, _taps(x) * gain, padding=pad, stride=stride, groups=x.shape[1])


def upsampled(x):
    """x [B, C, H, W] -> [B, C, 2 H, 2 W], with the same filter."""
    taps = _taps(x) * 4
    return F.conv_transpose2d(x, taps, stride=2, padding=1, groups=x.shape[1])


def scaled(x, weight, style, up=False, pad=1):
    """By scaling the inputs, and the outputs for demodulation."""
    squares = weight.square().sum((2, 3)) @ style.square().T  # [O, B]
    x = x * style[:, :, None, None]
    if up:
        x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        x = filtered(x, 1, gain=4.0)
    else:
        x = F.conv2d(x, weight, padding=pad)
    return x * (squares.T + 1e-8).rsqrt()[:, :, None, None]


def grouped(x, weight, style, up):
    """By one convolution with a kernel for each example."""
    n, _, height, width = x.shape
    weight = weight * style[:, None, :, None, None]  # [B, O, I, 3, 3]
    weight = weight * (weight.square().sum((2, 3, 4), True) + 1e-8).rsqrt()
    x = x.reshape(1, -1, height, width)
    if up:
        weight = weight.transpose(1, 2).flatten(0, 1)
        x = F.conv_transpose2d(x, weight, stride=2, groups=n)
        x = filtered(x, 1, gain=4.0)
    else:
        x = F.conv2d(x, weight.flatten(0, 1), padding=1, groups=n)
    return x.reshape(n, -1, *x.shape[2:])


MODULATED = {"scaled": scaled, "grouped": grouped}


class Linear(nn.Module):
    """A dense layer with an equalised learning rate, of a multiple `rate`."""

    def __init__(self, inputs, outputs, rate=1.0, active=False, bias=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.scale, self.rate, self.active = rate / math.sqrt(inputs), rate, active

    def forward(self, x):
        x = F.linear(x, self.weight * self.scale, self.bias * self.rate)
        return lrelu(x) if self.active else x


class Conv(nn.Module):
    """A convolution with an equalised learning rate; `down` halves the size."""

    def __init__(self, inputs, outputs, size, down=False, active=True, gain=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs)) if active else None
        self.scale = 1 / math.sqrt(inputs * size**2)
        self.down, self.pad, self.active, self.gain = down, size // 2, active, gain

    def forward(self, x):
        weight = self.weight * self.scale
        if not self.down:
            x = F.conv2d(x, weight, self.bias, padding=self.pad)
        elif self.pad:
            x = F.conv2d(filtered(x, 1 + self.pad), weight, self.bias, stride=2)
        else:
            x = F.conv2d(filtered(x, 1, stride=2), weight, self.bias)
        return (lrelu(x) if self.active else x) * self.gain


class StyledConv(nn.Module):
    """A layer of the synthesis network; `up` doubles the size."""

    modulated = "scaled"

    def __init__(self, inputs, outputs, w_dim, side, up=False):
        super().__init__()
        self.affine = Linear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise_const", torch.randn(side, side))
        self.up = up

    def forward(self, x, w, noise="random"):
        x = MODULATED[self.modulated](x, self.weight, self.affine(w), self.up)
        if noise == "random":
            x = x + self.noise_strength * torch.randn_like(x[:, :1])
        elif noise == "const":
            x = x + self.noise_strength * self.noise_const
        return lrelu(x + self.bias[:, None, None])


class ToImage(nn.Module):
    """A modulated 1x1 convolution without demodulation."""

    def __init__(self, inputs, channels, w_dim):
        super().__init__()
        self.affine = Linear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x, w):
        style = self.affine(w) / math.sqrt(x.shape[1])
        x = F.conv2d(x * style[:, :, None, None], self.weight)
        return x + self.bias[:, None, None]


class SynthesisBlock(nn.Module):
    def __init__(self, inputs, outputs, channels, w_dim, side):
        super().__init__()
        if side == 4:
            self.const = nn.Parameter(torch.randn(outputs, 4, 4))
        else:
            self.conv0 = StyledConv(inputs, outputs, w_dim, side, up=True)
        self.conv1 = StyledConv(outputs, outputs, w_dim, side)
        self.torgb = ToImage(outputs, channels, w_dim)

    def forward(self, x, image, ws, noise):
        if x is None:
            x = self.const.expand(len(ws[0]), *self.const.shape)
        else:
            x = self.conv0(x, ws[0], noise)
        x = self.conv1(x, ws[-2], noise)
        more = self.torgb(x, ws[-1])
        return x, more if image is None else upsampled(image) + more


def widths_of(side, base, most):
    """{side of a map: its channels}, from 4 on."""
    sides = [2**i for i in range(2, side.bit_length())]
    return {x: min(base // x, most) for x in sides}


class Mapping(nn.Module):
    def __init__(self, latent, w_dim, depth):
        super().__init__()
        self.depth = depth
        for i in range(depth):
            linear = Linear(w_dim if i else latent, w_dim, 0.01, active=True)
            self.add_module(f"fc{i}", linear)
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z):
        x = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for i in range(self.depth):
            x = getattr(self, f"fc{i}")(x)
        return x


class Synthesis(nn.Module):
    def __init__(self, shape, w_dim, widths):
        super().__init__()
        self.sides = [*widths]
        before = None
        for side, width in widths.items():
            block = SynthesisBlock(before, width, shape[-1], w_dim, side)
            self.add_module(f"b{side}", block)
            before = width

    def forward(self, ws, noise="random"):
        x = image = None
        for i, side in enumerate(self.sides):
            own = ws.unbind(1)[max(2 * i - 1, 0) : 2 * i + 2]
            x, image = getattr(self, f"b{side}")(x, image, own, noise)
        return image


class Generator(nn.Module):
    def __init__(
        self,
        shape,
        latent,
        w_dim=512,
        mapping_layers=8,
        channel_base=16384,
        channel_max=512,
        mixing=0.9,
        **_,
    ):
        super().__init__()
        self.mapping = Mapping(latent, w_dim, mapping_layers)
        widths = widths_of(shape[0], channel_base, channel_max)
        self.synthesis = Synthesis(shape, w_dim, widths)
        self.n_ws, self.mixing = 2 * len(widths), mixing

    def forward(self, z):
        return self.synthesis(self.styles(z))

    def styles(self, z, track=True):
        """ws [B, n_ws, w_dim] with style mixing; `track` moves the average."""
        w = self.mapping(z)
        if track:
            self.mapping.w_avg.lerp_(w.detach().mean(0), 0.005)
        ws = w[:, None].repeat(1, self.n_ws, 1)
        if torch.rand(()) < self.mixing:
            cut = int(torch.randint(1, self.n_ws, ()))
            other = self.mapping(torch.randn_like(z))
            ws = torch.cat(
                [ws[:, :cut], other[:, None].repeat(1, self.n_ws - cut, 1)], 1
            )
        return ws


class DiscriminatorBlock(nn.Module):
    def __init__(self, width, outputs, channels=None):
        super().__init__()
        self.fromrgb = Conv(channels, width, 1) if channels else nn.Identity()
        half = math.sqrt(0.5)
        self.conv0 = Conv(width, width, 3)
        self.conv1 = Conv(width, outputs, 3, down=True, gain=half)
        self.skip = Conv(width, outputs, 1, down=True, active=False, gain=half)

    def forward(self, x):
        x = self.fromrgb(x)
        return self.conv1(self.conv0(x)) + self.skip(x)


class LastBlock(nn.Module):
    def __init__(self, width, group):
        super().__init__()
        self.group = group
        self.conv = Conv(width + 1, width, 3)
        self.fc = Linear(16 * width, width, active=True)
        self.out = Linear(width, 1)

    def forward(self, x):
        n, c, h, w = x.shape
        group = min(self.group, n)
        y = x.reshape(group, n // group, c, h, w)
        y = (y.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
        x = torch.cat([x, y.repeat(group)[:, None, None, None].expand(n, 1, h, w)], 1)
        return self.out(self.fc(self.conv(x).flatten(1)))[:, 0]


class Discriminator(nn.Module):
    def __init__(self, shape, channel_base=16384, channel_max=512, group=4, **_):
        super().__init__()
        widths = widths_of(shape[0], channel_base, channel_max)
        self.sides = [*widths][:0:-1]
        for side in self.sides:
            channels = shape[-1] if side == shape[0] else None
            block = DiscriminatorBlock(widths[side], widths[side // 2], channels)
            self.add_module(f"b{side}", block)
        self.b4 = LastBlock(widths[4], group)

    def forward(self, x):
        for side in self.sides:
            x = getattr(self, f"b{side}")(x)
        return self.b4(x)
