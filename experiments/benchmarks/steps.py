"""The training step of a config, against the same step in PyTorch.

Data are in memory already. With `against="torch"` PyTorch is timed in both memory
formats, with glibc's default allocator and with the settings of `experiments.process`,
and compiled. On a GPU both libraries are timed in bfloat16 too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax

from experiments import config as configs
from experiments import process
from experiments.benchmarks import machine, timing, workload
from experiments.benchmarks.timing import Candidate, Result, Runner
from experiments.rundir import manifest
from experiments.training.programs import Programs
from gans import names
from gans.data.spec import from_json

SPECS = (
    "configs/wgan_gp.py:cifar10_cnn",
    "configs/dcgan.py:folder",
    "configs/sngan.py:cifar10",
    "configs/sagan.py:cifar10",
    "configs/gan.py:circle",
    "configs/pix2pix.py:facades128",
    "configs/pix2pix.py:facades",
    "configs/cyclegan.py:folder128",
    "configs/cyclegan.py:folder",
)
OURS = "jax"
STEP = "step"


def benchmark(
    config,
    *,
    against: str | None = None,
    only: Sequence[str] = (),
    rounds: int = 9,
    seconds: float = 1.0,
    progress: timing.Progress = timing.silent,
) -> dict:
    """Times the step of a resolved config; returns {"candidates", "ratios"}.

    Args:
      against: "torch" or None.
      only: the candidates beside our own, of which all are in memory at once; () for
        all that there are.
      rounds, seconds, progress: see `timing.time_in_rounds`.

    Raises ValueError for an unknown candidate, RuntimeError if our own step fails.
    """
    found = candidates(config, against, machine.has_gpu())
    for name in only:
        names.check(name, [one.name for one in found], "--only")
    if only:
        found = [one for one in found if one.name in (OURS, *only)]
    results = timing.time_in_rounds(
        found,
        [STEP],
        rounds=rounds,
        seconds=seconds,
        progress=progress,
    )
    if results[OURS].error:
        raise RuntimeError(results[OURS].error)
    steps = workload.steps_per_run(config)
    rows = {
        name: _row(result, steps, config.batch_size) for name, result in results.items()
    }
    return {"candidates": rows, "ratios": ratios(rows)}


def candidates(config, against: str | None, gpu: bool) -> list[Candidate]:
    """Our step, and PyTorch's if wanted, in every setting worth comparing."""
    text = configs.to_json(config)

    def ours(name, dtype):
        options = {"config": text, "dtype": dtype}
        return Candidate(name, f"{__name__}:ours", options, process.configure)

    def theirs(*words):
        options = {
            "config": text,
            "batch": batch,
            "channels_last": "channels_last" in words,
            "compiled": "compiled" in words,
            "dtype": "bfloat16" if "bfloat16" in words else "float32",
            "device": "cuda" if gpu else "cpu",
        }
        build = "experiments.benchmarks.torch_reference.candidates:step"
        setup = process.keep_pages if "allocator" in words else None
        return Candidate(" ".join(["torch", *words]), build, options, setup)

    found = [ours(OURS, config.dtype)]
    if gpu:
        found += [ours(f"{OURS} bfloat16", "bfloat16")]
    if against == "torch":
        batch = jax.device_get(workload.decoder(config)(workload.example(config)))
        spec = from_json(config.spec)
        images = any(field.kind in ("image", "video") for field in spec.values())
        layouts = [(), ("channels_last",)] if images else [()]
        settings = [(), ("compiled",)]
        settings += [("bfloat16",), ("bfloat16", "compiled")] if gpu else []
        settings += [] if gpu else [("allocator",), ("allocator", "compiled")]
        found += [theirs(*a, *b) for b in settings for a in layouts]
    return found


def ours(config: str, dtype: str) -> Runner:
    """The compiled call of `experiments.training.loop`, in this process."""
    config = configs.from_json(config)
    config.dtype = dtype
    gan = configs.build(config)
    per_call = config.steps_per_call
    batch = workload.example(config)
    programs = Programs(
        gan,
        seed=0,
        batch=batch,
        prepare=workload.decoder(config),
        per_call=per_call,
    )
    call, compile_seconds = programs.start_compiling().result()
    if per_call > 1:
        batch = {name: x[None].repeat(per_call, 0) for name, x in batch.items()}
    batch, key = programs.put_batch(batch), programs.key(0)
    state = programs.init(0)
    # Past WGAN's first steps, in which the generator waits longer. Other variants have
    # no such key.
    state = state.replace(step=state.step + config.get("warmup", 0))

    def run():
        nonlocal state
        for _ in range(workload.steps_per_run(config) // per_call):
            state, metrics = call(state, batch, key)
        jax.block_until_ready((state, metrics))

    return Runner(
        {STEP: run},
        {"compile_seconds": compile_seconds, "device": jax.devices()[0].device_kind},
        manifest.peak_memory,
    )


def ratios(rows: dict[str, dict]) -> dict[str, float]:
    """PyTorch's median time over ours (above 1: ours is faster), by setting.

    Settings: "eager", "eager allocator", "compiled" ...; each is the faster of the
    memory formats.
    """
    best = {}
    for name, row in rows.items():
        words = name.split()
        if words[0] != "torch" or "ms_per_step" not in row:
            continue
        words = [w for w in words[1:] if w != "channels_last"]
        setting = " ".join(words if "compiled" in words else ["eager", *words])
        best[setting] = min(best.get(setting, math.inf), row["ms_per_step"])
    return {
        setting: ms / rows[OURS]["ms_per_step"] for setting, ms in sorted(best.items())
    }


def _row(result: Result, steps: int, batch_size: int) -> dict:
    if result.error:
        return {"error": result.error}
    samples = [1000 * s / steps for s in result.seconds[STEP]]
    low, median, high = timing.quartiles(samples)
    return {
        "ms_per_step": median,
        "quartiles": [low, high],
        "images_per_s": 1000 * batch_size / median,
        **result.details,
        "cold": bool(result.cold),
        "samples_ms": samples,
    }


def table(found: dict) -> str:
    """The rows of a config as text."""
    lines = [f"{found['config']}, batch {found['batch_size']}"]
    lines.append(
        f"  {'':38}{'ms/step':>9} {'quartiles':>18}{'images/s':>10}{'compile':>9}"
        f"{'memory':>9}{'/ ours':>8}"
    )
    rows = found["candidates"]
    ours = rows[OURS]["ms_per_step"]
    for name, row in rows.items():
        if "error" in row:
            lines.append(f"  {name:38}failed: {row['error'][:60]}")
            continue
        low, high = row["quartiles"]
        compiling = row.get("compile_seconds")
        compiling = "-" if compiling is None else f"{compiling:.1f} s"
        ms, mark = row["ms_per_step"], "*" if row["cold"] else " "
        lines.append(
            f"  {name:38}{ms:9.4g}{mark}{f'{low:.4g} .. {high:.4g}':>18}"
            f"{row['images_per_s']:10.0f}{compiling:>9}"
            f"{row['peak_memory_bytes'] / 2**20:6.0f} MB{ms / ours:8.2f}"
        )
    for setting, ratio in found["ratios"].items():
        lines.append(f"  torch {setting} / {OURS}: {ratio:.2f}")
    if any(row.get("cold") for row in rows.values()):
        lines.append(f"  {timing.COLD_NOTE}")
    return "\n".join(lines)
