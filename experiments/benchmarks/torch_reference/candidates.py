"""PyTorch's side of the benchmarks of steps and of single convolutions."""

from __future__ import annotations

import functools
import importlib
import os
import time

import numpy as np
import torch

from experiments import config as configs
from experiments.benchmarks import workload
from experiments.benchmarks.convolution import Convolution
from experiments.benchmarks.timing import Runner
from gans import names


def step(
    config: str,
    *,
    batch: dict[str, np.ndarray],
    channels_last: bool,
    compiled: bool,
    dtype: str,
    device: str,
) -> Runner:
    """The training step of a config, as JSON, on {field: [B, ..., C]}."""
    config = configs.from_json(config)
    torch.set_num_threads(os.cpu_count())
    training = _training(config)(
        config,
        device=device,
        channels_last=channels_last,
        compiled=compiled,
        dtype=getattr(torch, dtype),
    )
    tensors = {name: torch.tensor(x) for name, x in batch.items()}
    for name, x in tensors.items():
        if x.ndim >= 4:
            x = x.movedim(-1, 1).contiguous(memory_format=training.format)
        tensors[name] = x.to(device)

    def run():
        for _ in range(workload.steps_per_run(config)):
            training.step(tensors)
        if device == "cuda":
            torch.cuda.synchronize()

    began = time.perf_counter()
    run()
    seconds = time.perf_counter() - began
    peak = torch.cuda.max_memory_allocated if device == "cuda" else None
    return Runner({"step": run}, {"compile_seconds": seconds} if compiled else {}, peak)


def inference(
    config: str, *, sides: tuple[int, ...], channels_last: bool, device: str
) -> Runner:
    """The generator of a config, as JSON, on whole pictures of so many pixels a side.

    They are made of noise uint8, and become uint8.
    """
    config = configs.from_json(config)
    torch.set_num_threads(os.cpu_count())
    training = _training(config)(config, device=device, channels_last=channels_last)
    if not hasattr(training, "g"):
        raise ValueError(f"{config.variant}: there are several generators")
    network, cases = training.g.eval(), {}
    given, made = (config.spec[side]["shape"] for side in "ab")

    def run(x):
        with torch.inference_mode():
            x = (x.permute(2, 0, 1)[None].to(device) / 127.5 - 1).float()
            y = network(x.contiguous(memory_format=training.format))
            y = ((y.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
            return y[0].permute(1, 2, 0).cpu().numpy()

    for side in sides:
        x = workload.picture(side * given[0] // made[0], given[-1])
        cases[str(side)] = functools.partial(run, torch.tensor(x))
    peak = torch.cuda.max_memory_allocated if device == "cuda" else None
    return Runner(cases, {}, peak)


def _training(config):
    """The class of the file with the variant's name, or that of a game on latents."""
    package = __name__.rpartition(".")[0]
    own = config.variant in names.files(package)
    name = config.variant if own else "training"
    return importlib.import_module(f"{package}.{name}").Training


def layers(each: tuple[Convolution, ...], channels_last: bool) -> Runner:
    """Every convolution on its own."""
    torch.set_num_threads(os.cpu_count())
    cases = {}
    for one in each:

        def run(one=one, made=[]):  # noqa: B006
            if not made:  # memory only for what is timed
                made.append(_convolution(one, channels_last))
            made[0]()

        cases[one.name] = run
    return Runner(cases)


_FORMATS = {3: torch.contiguous_format, 4: torch.channels_last}
_FORMATS |= {5: torch.channels_last_3d}


def _convolution(one, channels_last):
    """A function without arguments that computes it."""

    def tensor(shape, kernel=False):
        """Of a shape with the channels last, in PyTorch's order."""
        order = (-1, -2) if kernel else (0, -1)
        space = shape[:-2] if kernel else shape[1:-1]
        x = torch.randn(*(shape[i] for i in order), *space)
        return x.to(memory_format=_FORMATS[x.ndim]) if channels_last else x

    _, k, y, strides, low, groups = one.geometry
    span = [(n - 1) * s + size for n, s, size in zip(y, strides, k, strict=True)]
    high = [n - x - a for n, x, a in zip(span, one.geometry[0], low, strict=True)]
    x, w, g = tensor(one.large), tensor(one.kernel, True), tensor(one.small)
    pads = [max(a, b) for a, b in zip(low, high, strict=True)]
    even = all(a == b for a, b in zip(low, high, strict=True))
    if not even:  # as in `networks`: padded beforehand
        sides = [n for a, b in zip(low, high, strict=True) for n in (b, a)][::-1]
        x, pads = torch.nn.functional.pad(x, sides), [0] * len(k)
    dilation, zeros = [1] * len(k), [0] * len(k)
    if one.kind == "forward":
        return lambda: torch.ops.aten.convolution(
            x, w, None, strides, pads, dilation, False, zeros, groups
        )
    wanted = [one.kind == "input gradient", one.kind == "kernel gradient", False]
    return lambda: torch.ops.aten.convolution_backward(
        g, x, w, None, strides, pads, dilation, False, zeros, groups, wanted
    )
