"""Each convolution of a training step on its own: our forms, `lax`'s and PyTorch's.

The table shows which row of `gans.layers.conv.table` a shape takes, and whether that
form is the fastest on its own. Inside a step the forms with the fewest multiplications
gain more, because they share sums.
"""

from __future__ import annotations

import collections
import dataclasses

import jax
import numpy as np
from jax.extend.core import jaxprs_in_params

from experiments import config as configs
from experiments import process
from experiments.benchmarks import timing, workload
from experiments.benchmarks.convolution import Convolution
from experiments.benchmarks.steps import SPECS  # noqa: F401 -- of this benchmark too
from experiments.benchmarks.timing import Candidate, Runner
from gans import core
from gans.layers.conv import forms, maps
from gans.layers.conv import table as conv_table
from gans.layers.conv.geometry import Geometry

OURS, PLAIN = "jax", "lax"
# The primitives of `gans.layers.conv.maps`, and the words of `Convolution.kind`.
_KINDS = {
    "convolution": "forward",
    "convolution_input_gradient": "input gradient",
    "convolution_kernel_gradient": "kernel gradient",
}


def convolutions(config) -> dict[Convolution, int]:
    """Returns the convolutions in the step of a resolved config, and how many there
    are of each."""
    gan = configs.build(config)
    state = jax.eval_shape(lambda: core.init(gan, jax.random.key(0)))
    batch = jax.eval_shape(workload.decoder(config), workload.example(config))
    program = jax.make_jaxpr(core.make_step(gan))(state, batch, jax.random.key(0))
    found = collections.Counter()

    def visit(jaxpr):
        for equation in jaxpr.eqns:
            kind = _KINDS.get(equation.primitive.name)
            if kind is not None:
                g = equation.params["geometry"]
                a, b = (x.aval.shape for x in equation.invars)
                found[Convolution(kind, a, b, dataclasses.astuple(g))] += 1
            for inner in jaxprs_in_params(equation.params):
                visit(inner)

    visit(program.jaxpr)
    return dict(found)


def benchmark(
    config,
    *,
    against: str | None = None,
    rounds: int = 9,
    seconds: float = 0.1,
    progress: timing.Progress = timing.silent,
) -> dict:
    """Times every convolution of a config; returns {"layers": rows}.

    Raises RuntimeError if a candidate fails.
    """
    found = convolutions(config)
    each = sorted(found, key=lambda one: -found[one] * one.gflop)
    options = {"each": tuple(each)}
    candidates = [
        Candidate(
            name, f"{__name__}:ours", options | {"plain": plain}, process.configure
        )
        for name, plain in ((OURS, False), (PLAIN, True))
    ]
    if against == "torch":
        build = "experiments.benchmarks.torch_reference.candidates:layers"
        candidates += [
            Candidate(
                name, build, options | {"channels_last": last}, process.keep_pages
            )
            for name, last in (("torch", False), ("torch channels_last", True))
        ]
    results = timing.time_in_rounds(
        candidates,
        [one.name for one in each],
        rounds=rounds,
        seconds=seconds,
        progress=progress,
    )
    for name, result in results.items():
        if result.error:
            raise RuntimeError(f"{name}: {result.error}")
    rows = [
        {
            "convolution": one.name,
            "times": found[one],
            "gflop": one.gflop,
            "row": results[OURS].details["rows"][one.name],
            "ms": {
                name: 1000 * timing.quartiles(result.seconds[one.name])[1]
                for name, result in results.items()
            },
            "cold": any(one.name in result.cold for result in results.values()),
        }
        for one in each
    ]
    return {"layers": rows}


def ours(each: tuple[Convolution, ...], plain: bool) -> Runner:
    """The maps in the forms of the table, or as `lax` has them."""
    kinds = {
        "forward": (
            maps.convolution,
            forms.plain,
            conv_table.CONVOLUTION,
        ),
        "input gradient": (
            maps.input_gradient,
            forms.plain_input_gradient,
            conv_table.INPUT_GRADIENT,
        ),
        "kernel gradient": (
            maps.kernel_gradient,
            forms.plain_kernel_gradient,
            conv_table.KERNEL_GRADIENT,
        ),
    }
    draw = np.random.default_rng(0).standard_normal
    cases, rows = {}, {}
    for one in each:
        geometry = Geometry(*one.geometry)
        chosen, lax_form, rule = kinds[one.kind]
        case = conv_table.Case(geometry, one.large[0], one.large[-1], one.kernel[-1])
        rows[one.name] = rule.index(conv_table.choose(rule, case))
        form = jax.jit(lax_form if plain else chosen, static_argnames="geometry")

        def run(form=form, geometry=geometry, one=one, operands=[]):  # noqa: B006
            if not operands:  # memory only for what is timed
                operands += [
                    jax.device_put(draw(s, np.float32)) for s in (one.a, one.b)
                ]
            jax.block_until_ready(form(*operands, geometry=geometry))

        cases[one.name] = run
    return Runner(cases, {"rows": rows})


def table(found: dict) -> str:
    """The rows as text; `row` is that of `gans.layers.conv.table`, counted from 0."""
    lines, total = [f"{found['config']}, batch {found['batch_size']}"], {}
    others = [name for name in found["layers"][0]["ms"] if name != OURS]
    head = "".join(f"{name + ' / ours':>28}" for name in others)
    lines.append(f"  {'':62}{'row':>4}{'times':>6}{'ms':>9} {'GF/s':>7}{head}")
    for row in found["layers"]:
        ms = row["ms"][OURS]
        for name, value in row["ms"].items():
            total[name] = total.get(name, 0) + row["times"] * value
        ratios = "".join(f"{row['ms'][name] / ms:28.2f}" for name in others)
        lines.append(
            f"  {row['convolution']:62}{row['row']:4}{row['times']:6}{ms:9.3f}"
            f"{'*' if row['cold'] else ' '}{1000 * row['gflop'] / ms:7.0f}{ratios}"
        )
    ratios = "".join(f"{total[name] / total[OURS]:28.2f}" for name in others)
    lines.append(f"  {'all of them':72}{total[OURS]:9.1f} {'':7}{ratios}")
    if any(row["cold"] for row in found["layers"]):
        lines.append(f"  {timing.COLD_NOTE}")
    return "\n".join(lines)
