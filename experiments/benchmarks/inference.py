"""Whole pictures through the network that makes images of images: ours and PyTorch's.

Ours is what `upscale` and `translate` do, tiles, bytes and all; PyTorch's is the module
on the whole picture, and its rounding to bytes.
"""

from __future__ import annotations

import functools

import jax

from experiments import config as configs
from experiments import process
from experiments.benchmarks import machine, timing, workload
from experiments.benchmarks.timing import Candidate, Runner
from experiments.translation.translator import FULL, Translator
from gans import core
from gans.data.spec import from_json

SPECS = ("configs/srgan.py:paper",)
OURS = "jax"
SIDES = (512, 1024, 2048)  # pixels, of what is made


def benchmark(
    config,
    *,
    against: str | None = None,
    sides: tuple[int, ...] = SIDES,
    rounds: int = 3,
    seconds: float = 1.0,
    progress: timing.Progress = timing.silent,
) -> dict:
    """Times the output "sample" of a resolved config; returns {"pictures": rows}.

    Args:
      against: "torch" or None.
      sides: of the square pictures that are made, in pixels.
      rounds, seconds, progress: see `timing.time_in_rounds`.

    Raises RuntimeError if our own candidate fails.
    """
    options = {"config": configs.to_json(config), "sides": tuple(sides)}
    found = [Candidate(OURS, f"{__name__}:ours", options, process.configure)]
    theirs = f"{__package__}.torch_reference.candidates:inference"
    device = {"device": "cuda" if machine.has_gpu() else "cpu"}
    for last in (False, True) if against == "torch" else ():
        for setup in (None, process.keep_pages):
            words = ["torch", *["channels_last"] * last, *["allocator"] * bool(setup)]
            own = {**options, **device, "channels_last": last}
            found.append(Candidate(" ".join(words), theirs, own, setup))
    cases = [str(side) for side in sides]
    results = timing.time_in_rounds(
        found, cases, rounds=rounds, seconds=seconds, progress=progress
    )
    if results[OURS].error:
        raise RuntimeError(results[OURS].error)
    rows = {}
    for name, result in results.items():
        if result.error:
            rows[name] = {"error": result.error}
            continue
        known = {case: timing.quartiles(result.seconds[case]) for case in cases}
        rows[name] = {"seconds": known, **result.details}
    return {"pictures": rows}


def ours(config: str, sides: tuple[int, ...]) -> Runner:
    """The model as `upscale` runs it, with random weights."""
    config = configs.from_json(config)
    gan = configs.build(config)
    state = jax.jit(functools.partial(core.init, gan))(jax.random.key(0))
    translate = Translator(gan, from_json(config.spec), state, size=FULL)
    cases, key = {}, jax.random.key(0)
    for side in sides:
        x = workload.picture(side // translate.scale, translate.channels)
        as_bytes = translate.scale > 1
        cases[str(side)] = functools.partial(translate, x, key, as_bytes=as_bytes)
    return Runner(cases, {"device": jax.devices()[0].device_kind})


def table(found: dict) -> str:
    """The rows of a config as text: medians, and those of others as parts of ours."""
    rows = found["pictures"]
    medians = {
        name: {case: x[1] for case, x in row["seconds"].items()}
        for name, row in rows.items()
        if "seconds" in row
    }
    lines = [f"{found['config']}: seconds for a picture of so many pixels a side"]
    lines.append(f"  {'':28}" + "".join(f"{case:>18}" for case in medians[OURS]))
    for name, row in rows.items():
        if name not in medians:
            lines.append(f"  {name:28}failed: {row['error'][:60]}")
            continue
        cells = (
            f"{x:.3g} ({x / medians[OURS][case]:.2f})"
            for case, x in medians[name].items()
        )
        lines.append(f"  {name:28}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)
