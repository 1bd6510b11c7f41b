"""What each stabiliser adds to the time of a step.

The baseline is the config's step; the stabilisers are those of
`configs.ablations.mode_collapse`, and a few more. All are compiled in one process and
timed in the same rounds.
"""

from __future__ import annotations

import time
from typing import Any

import jax

from configs.ablations import mode_collapse
from experiments import config as configs
from experiments import process
from experiments.benchmarks import timing, workload
from experiments.benchmarks.timing import Candidate, Runner
from experiments.training.programs import Programs

BASE = "base"
SPECS = ("configs/gan.py:cifar10_cnn",)
# An interval of 16 is StyleGAN2's.
LAZY = {"r1, every 16": {"discriminator.penalties": ("r1(every=16)",)}}
# Not in the study of mode collapse, or only as a part of something there.
MORE = {
    "weight_clipping": {"discriminator.optimizer.clip": 0.01},
    "generator_spectral": {"generator.spectral": True},
    "ada": {"augment": ("ada",)},
}


def benchmark(
    config,
    *,
    rounds: int = 9,
    seconds: float = 2.0,
    only: list[str] | None = None,
    progress: timing.Progress = timing.silent,
) -> dict:
    """Returns {"stabilisers": {name: {"ms_per_step", "percent", ...}}, "rejected"}.

    "percent" is how much the median exceeds that of the base, which is timed before
    each of the others. "rejected" has the stabilisers that this config cannot have, and
    why.

    Args:
      config: resolved.
      rounds, seconds, progress: see `timing.time_in_rounds`.
      only: the stabilisers to time; all of them by default.

    Raises RuntimeError if a step fails.
    """
    known, rejected = changes(config), {}
    names = [name for name in known if only is None or name in {BASE, *only}]
    for name in list(names):
        try:
            configs.build(configs.override(config, known[name]))
        except ValueError as error:
            rejected[name] = str(error)
            names.remove(name)
    options = {"config": configs.to_json(config), "names": names}
    # The base again and again: a machine's speed changes within a round.
    order = [x for name in names for x in (BASE, name)][1:]
    result = timing.time_in_rounds(
        [Candidate("jax", f"{__name__}:steps", options, process.configure)],
        order,
        rounds=rounds,
        seconds=seconds,
        progress=progress,
    )["jax"]
    if result.error:
        raise RuntimeError(result.error)
    n_steps = result.details["steps"]
    ms = {
        name: 1000 * timing.quartiles(samples)[1] / n_steps[name]
        for name, samples in result.seconds.items()
    }
    rows = {
        name: {
            "ms_per_step": ms[name],
            "percent": 100 * (ms[name] / ms[BASE] - 1),
            "compile_seconds": result.details["compile_seconds"][name],
            "cold": name in result.cold,
        }
        for name in names
    }
    return {"stabilisers": rows, "rejected": rejected}


def changes(config) -> dict[str, dict[str, Any]]:
    """Returns what each stabiliser changes in a config, by name; the base first.

    Those that cannot change the time of a step are left out.
    """
    known = mode_collapse.arms(config) | MORE | LAZY
    return {name: known[name] for name in known if name not in mode_collapse.SAME_STEP}


def steps(config: str, names: list[str]) -> Runner:
    """The compiled step with each stabiliser, in this process."""
    process.compilation_cache()
    base = configs.from_json(config)
    known = changes(base)
    cases, seconds, n_steps = {}, {}, {}
    for name in names:
        changed = configs.override(base, known[name])
        n_steps[name] = 16 if name in LAZY else 1
        gan = configs.build(changed)
        batch = workload.example(changed)
        programs = Programs(
            gan,
            seed=0,
            batch=batch,
            prepare=workload.decoder(changed),
            per_call=1,
        )
        began = time.perf_counter()
        call, _ = programs.start_compiling().result()
        seconds[name] = time.perf_counter() - began
        kept = [programs.init(0), programs.put_batch(batch), programs.key(0)]

        def run(call=call, kept=kept, n=n_steps[name]):
            for _ in range(n):
                kept[0], metrics = call(*kept)
            jax.block_until_ready(metrics)

        cases[name] = run
    return Runner(cases, {"compile_seconds": seconds, "steps": n_steps})


def table(found: dict) -> str:
    """The rows of a config as text."""
    lines = [f"{found['config']} without its penalty, batch {found['batch_size']}"]
    lines.append(f"  {'':28}{'ms/step':>9}{'more':>9}{'compile':>9}")
    for name, row in found["stabilisers"].items():
        lines.append(
            f"  {name:28}{row['ms_per_step']:9.4g}{'*' if row['cold'] else ' '}"
            f"{row['percent']:+6.0f} %{row['compile_seconds']:7.1f} s"
        )
    lines += [f"  {name:28}{why}" for name, why in found["rejected"].items()]
    if any(row["cold"] for row in found["stabilisers"].values()):
        lines.append(f"  {timing.COLD_NOTE}")
    return "\n".join(lines)
