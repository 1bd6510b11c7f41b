"""Each convolution of a training step on its own, in our forms, `lax`'s and PyTorch's.

For `python -m experiments.benchmark --layers`: it shows which row of
`gans.layers.conv.table` a shape takes and whether that form is the fastest alone; in a
step, forms with the fewest multiplications share sums, and gain more.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import os
import statistics

from experiments import config as configs
from experiments.benchmarks.timing import Contestant, Runner, race

HERE = "experiments.benchmarks.layers"
OURS, PLAIN = "jax", "lax"
# The primitives of `gans.layers.conv.maps`, and the words of `Call.kind`.
_KINDS = {
    "convolution": "forward",
    "convolution_input_gradient": "input gradient",
    "convolution_kernel_gradient": "kernel gradient",
}


@dataclasses.dataclass(frozen=True)
class Call:
    """One of the three maps: of operands with shapes a and b, at a geometry.

    `geometry` holds the fields of `gans.layers.conv.forms.Geometry`.
    """

    kind: str
    a: tuple[int, ...]
    b: tuple[int, ...]
    geometry: tuple

    @property
    def name(self) -> str:
        return f"{self.kind} {_x(self.large)} {_x(self.kernel)} /{self.strides[0]}"

    @property
    def large(self):
        """[N, *X, I], the shape of what is convolved."""
        n = (self.a[0], *self.geometry[0])
        if self.kind == "input gradient":
            return (*n, self.b[-2] * self.geometry[5])
        return (*n, self.a[-1])

    @property
    def kernel(self):
        """[*K, I / groups, O]."""
        if self.kind == "kernel gradient":
            return (
                *self.geometry[1],
                self.a[-1] // self.geometry[5],
                self.b[-1],
            )
        return self.b

    @property
    def small(self):
        """[N, *Y, O], the shape of the convolution's result."""
        return (self.a[0], *self.geometry[2], self.kernel[-1])

    @property
    def strides(self):
        return self.geometry[3]

    @property
    def gflop(self) -> float:
        """1e9 operations, a multiplication and an addition counting two."""
        return 2e-9 * math.prod(self.small) * math.prod(self.kernel[:-1])


def calls(config) -> dict[Call, int]:
    """Returns the convolutions in the step of a resolved config, with their number."""
    import jax
    from jax.extend.core import jaxprs_in_params

    from experiments.benchmarks.workload import example
    from gans import core

    gan = configs.build(config)
    state = jax.eval_shape(lambda: core.init(gan, jax.random.key(0)))
    batch, prepare = example(config)
    batch = jax.eval_shape(prepare, batch)
    program = jax.make_jaxpr(core.make_step(gan))(state, batch, jax.random.key(0))
    found = collections.Counter()

    def visit(jaxpr):
        for equation in jaxpr.eqns:
            kind = _KINDS.get(equation.primitive.name)
            if kind is not None:
                g = equation.params["geometry"]
                a, b = (x.aval.shape for x in equation.invars)
                found[Call(kind, a, b, dataclasses.astuple(g))] += 1
            for inner in jaxprs_in_params(equation.params):
                visit(inner)

    visit(program.jaxpr)
    return dict(found)


def benchmark(config, *, against: str | None, rounds: int, turn: float, tell) -> dict:
    """Races every convolution of a config; returns what `--out` gets of it."""
    found = calls(config)
    each = sorted(found, key=lambda call: -found[call] * call.gflop)
    options = {"each": tuple(each)}
    field = [
        Contestant(OURS, f"{HERE}:our_layers", options | {"plain": False}),
        Contestant(PLAIN, f"{HERE}:our_layers", options | {"plain": True}),
    ]
    if against == "torch":
        field += [
            Contestant(
                name,
                f"{HERE}:torch_layers",
                options | {"channels_last": name.endswith("channels_last")},
            )
            for name in ("torch", "torch channels_last")
        ]
    names = [call.name for call in each]
    results = race(field, names, rounds=rounds, turn=turn, tell=tell)
    for name, result in results.items():
        if result.error:
            raise RuntimeError(f"{name}: {result.error}")
    rows = [
        {
            "call": call.name,
            "times": found[call],
            "gflop": call.gflop,
            "row": results[OURS].facts["rows"][call.name],
            "ms": {
                name: 1000 * statistics.median(result.seconds[call.name])
                for name, result in results.items()
            },
        }
        for call in each
    ]
    return {"layers": rows}


def our_layers(each: tuple[Call, ...], plain: bool) -> Runner:
    """The maps in the forms of the table, or as `lax` has them."""
    from experiments import process

    process.configure()
    import jax
    import numpy as np

    from gans.layers.conv import forms, maps, table

    kinds = {
        "forward": (
            maps.convolution,
            forms.plain,
            table.CONVOLUTION,
        ),
        "input gradient": (
            maps.input_gradient,
            forms.plain_input_gradient,
            table.INPUT_GRADIENT,
        ),
        "kernel gradient": (
            maps.kernel_gradient,
            forms.plain_kernel_gradient,
            table.KERNEL_GRADIENT,
        ),
    }
    draw = np.random.default_rng(0).standard_normal
    cases, rows = {}, {}
    for call in each:
        geometry = forms.Geometry(*call.geometry)
        ours, theirs, rule = kinds[call.kind]
        case = table.Case(geometry, call.large[0], call.large[-1], call.kernel[-1])
        rows[call.name] = rule.index(table.choose(rule, case))
        form = jax.jit(theirs if plain else ours, static_argnames="geometry")

        def run(form=form, geometry=geometry, call=call, operands=[]):  # noqa: B006
            if not operands:  # memory only for what has been asked for
                operands += [
                    jax.device_put(draw(s, np.float32)) for s in (call.a, call.b)
                ]
            jax.block_until_ready(form(*operands, geometry=geometry))

        cases[call.name] = run
    return Runner(cases, {"rows": rows})


def torch_layers(each: tuple[Call, ...], channels_last: bool) -> Runner:
    """The maps as PyTorch has them, with the allocator that we have."""
    from experiments import process

    process.keep_pages()
    import torch

    torch.set_num_threads(os.cpu_count())
    formats = {3: torch.contiguous_format, 4: torch.channels_last}
    formats |= {5: torch.channels_last_3d}

    def tensor(shape, kernel=False):
        """Of a shape with the channels last, in PyTorch's order."""
        order = (-1, -2) if kernel else (0, -1)
        space = shape[:-2] if kernel else shape[1:-1]
        x = torch.randn(*(shape[i] for i in order), *space)
        return x.to(memory_format=formats[x.ndim]) if channels_last else x

    def make(call):
        _, k, y, strides, low, groups = call.geometry
        span = [(n - 1) * s + size for n, s, size in zip(y, strides, k, strict=True)]
        high = [n - x - a for n, x, a in zip(span, call.geometry[0], low, strict=True)]
        x, w, g = tensor(call.large), tensor(call.kernel, True), tensor(call.small)
        pads = [max(a, b) for a, b in zip(low, high, strict=True)]
        even = all(a == b for a, b in zip(low, high, strict=True))
        if not even:  # as the peers do it: padded beforehand
            sides = [n for a, b in zip(low, high, strict=True) for n in (b, a)][::-1]
            x, pads = torch.nn.functional.pad(x, sides), [0] * len(k)
        dilation, zeros = [1] * len(k), [0] * len(k)
        if call.kind == "forward":
            return lambda: torch.ops.aten.convolution(
                x, w, None, strides, pads, dilation, False, zeros, groups
            )
        wanted = [call.kind == "input gradient", call.kind == "kernel gradient", False]
        return lambda: torch.ops.aten.convolution_backward(
            g, x, w, None, strides, pads, dilation, False, zeros, groups, wanted
        )

    cases = {}
    for call in each:

        def run(call=call, made=[]):  # noqa: B006
            if not made:
                made.append(make(call))
            made[0]()

        cases[call.name] = run
    return Runner(cases)


def table(found: dict) -> str:
    """The rows as text; `row` is that of `gans.layers.conv.table`, counted from 0."""
    lines, total = [], collections.Counter()
    others = [name for name in found["layers"][0]["ms"] if name != OURS]
    head = "".join(f"{name + ' / ours':>28}" for name in others)
    lines.append(f"  {'':62}{'row':>4}{'times':>6}{'ms':>9}{'GF/s':>7}{head}")
    for row in found["layers"]:
        ms = row["ms"][OURS]
        for name, value in row["ms"].items():
            total[name] += row["times"] * value
        ratios = "".join(f"{row['ms'][name] / ms:28.2f}" for name in others)
        lines.append(
            f"  {row['call']:62}{row['row']:4}{row['times']:6}{ms:9.3f}"
            f"{1000 * row['gflop'] / ms:7.0f}{ratios}"
        )
    ratios = "".join(f"{total[name] / total[OURS]:28.2f}" for name in others)
    lines.append(f"  {'all of them':72}{total[OURS]:9.1f}{'':7}{ratios}")
    return "\n".join(lines)


def _x(shape):
    return "x".join(map(str, shape))
