"""What each stabiliser adds to the time of a step.

For `python -m experiments.benchmark --cures`: the config without penalties is the plain
step; the cures are those of `configs.ablations.mode_collapse`. All are compiled in one
process, and take turns.
"""

from __future__ import annotations

import statistics

from configs.ablations import mode_collapse
from experiments import config as configs
from experiments.benchmarks.timing import Contestant, Runner, race

HERE = "experiments.benchmarks.stabilisers"
PLAIN = "base"
SPEC = "configs/wgan_gp.py:cifar10_cnn"
# They change when a player moves, or numbers alone: not what a step costs.
SAME = {
    "n_critic",
    "ttur",
    "b1_zero",
    "linear_decay",
    "wgan",
    "wgan_gp",
    "no_batch_norm",
}
# An interval of 16 is StyleGAN2's.
LAZY = {"r1, every 16": {"critic.penalties": ("r1(every=16)",)}}
# No cures of mode collapse, or part of one there.
MORE = {
    "weight_clipping": {"critic.optimizer.clip": 0.01},
    "generator_spectral": {"generator.spectral": True},
    "ada": {"augment": ("ada",)},
}


def benchmark(config, *, rounds: int, turn: float, only=None, tell=print) -> dict:
    """Returns {"cures": {name: {"ms_per_step", "percent", "compile_seconds"}}}.

    `config` is resolved; percent is by how much the median exceeds the plain step's,
    which has a turn before each of the others. Raises RuntimeError if a step fails.
    """
    config = configs.from_json(configs.to_json(config))
    config.variant, config.loss, config.n_critic = "gan", "non_saturating", 1
    config.critic.penalties = ()
    known, refused = table(config), {}
    names = [name for name in known if only is None or name in {PLAIN, *only}]
    for name in list(names):
        try:
            configs.build(configs.override(config, known[name]))
        except ValueError as error:
            refused[name] = str(error)
            names.remove(name)
    options = {"config": configs.to_json(config), "names": names}
    # The plain step again and again: a machine's speed changes within a round.
    order = [x for name in names for x in (PLAIN, name)][1:]
    results = race(
        [Contestant("jax", f"{HERE}:steps", options)],
        order,
        rounds=rounds,
        turn=turn,
        tell=tell,
    )["jax"]
    if results.error:
        raise RuntimeError(results.error)
    n_steps = results.facts["steps"]
    ms = {
        name: [1000 * s / n_steps[name] for s in results.seconds[name]]
        for name in names
        if name in results.seconds
    }
    plain = statistics.median(ms[PLAIN])
    rows = {
        name: {
            "ms_per_step": statistics.median(samples),
            "percent": 100 * (statistics.median(samples) / plain - 1),
            "compile_seconds": results.facts["compile_seconds"][name],
        }
        for name, samples in ms.items()
    }
    return {"cures": rows, "refused": refused}


def table(config) -> dict[str, dict]:
    """The cures whose step may cost something else, by name; the plain step first."""
    known = mode_collapse.arms(config) | MORE | LAZY
    return {name: known[name] for name in known if name not in SAME}


def steps(config: str, names: list[str]) -> Runner:
    """The compiled step of each cure, in this process."""
    from experiments import process

    process.configure()
    import time

    import jax

    from experiments.benchmarks.workload import example
    from experiments.training.programs import Programs

    process.compilation_cache()
    base = configs.from_json(config)
    known = table(base)
    cases, seconds, n_steps = {}, {}, {}
    for name in names:
        cured = configs.override(base, known[name])
        n_steps[name] = 16 if name in LAZY else 1
        gan = configs.build(cured)
        batch, prepare = example(cured)
        programs = Programs(
            gan,
            seed=0,
            batch=batch,
            prepare=prepare,
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


def shown(found: dict) -> str:
    """The rows of a config as text."""
    lines = [f"{found['config']} without its penalty, batch {found['batch_size']}"]
    lines.append(f"  {'':28}{'ms/step':>9}{'more':>8}{'compile':>9}")
    for name, row in found["cures"].items():
        lines.append(
            f"  {name:28}{row['ms_per_step']:9.4g}{row['percent']:+7.0f} %"
            f"{row['compile_seconds']:7.1f} s"
        )
    lines += [f"  {name:28}{why}" for name, why in found["refused"].items()]
    return "\n".join(lines)
