"""How fast: training steps of configs, or the convolutions in them, against PyTorch.

    python -m experiments.benchmark [--config=configs/NAME.py[:PRESET] ...]
        [--against=torch] [--layers] [--cures] [--seeds=8 [--steps=N]]
        [--batch_size=N] [--rounds=9] [--out=FILE]

Times the compiled step of each config (by default the five of README's table) on data
that is in memory already, one row a contestant: compile seconds, ms per step (median,
and quartiles), images/s, peak memory. With `--against=torch` (extra `peers`) the same
GAN in PyTorch takes turns with it, each in its own process: in both memory formats,
with the C allocator as it is and with that of `experiments/process.py`, and compiled.
On a GPU also in bfloat16. `--layers` times each convolution of the step on its own,
`--cures` the step with each stabiliser; `--seeds=8` races eight runs in one program
with eight one by one, a step and whole processes of `--steps`.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
from importlib import metadata, util
from pathlib import Path

from absl import app, flags, logging

from experiments import config as configs
from experiments.benchmarks import layers, seeds, stabilisers
from experiments.benchmarks.timing import Contestant, Result, Runner, race

CONFIGS = (
    "configs/wgan_gp.py:cifar10_cnn",
    "configs/dcgan.py:folder",
    "configs/sngan.py:cifar10",
    "configs/sagan.py:cifar10",
    "configs/gan.py:circle",
)
OURS = "jax"
HERE = "experiments.benchmark"
STEP = "step"


def benchmark(
    spec: str,
    *,
    against: str | None = None,
    batch_size: int | None = None,
    rounds: int = 9,
    turn: float = 1.0,
    tell=lambda line: None,
) -> dict:
    """Races the training steps of one config; returns what `--out` gets of it.

    Args:
      spec: PATH.py[:PRESET].
      against: "torch" or None.
      batch_size: instead of the config's.
      rounds, turn: see `experiments.benchmarks.timing.race`.
      tell: is told how it goes.

    Raises ValueError for an unknown config, RuntimeError if our own step fails.
    """
    config = prepare(spec, batch_size)
    gpu = Path("/dev/nvidia0").exists()
    results = race(
        contestants(config, against, gpu), [STEP], rounds=rounds, turn=turn, tell=tell
    )
    if results[OURS].error:
        raise RuntimeError(f"{spec}: {results[OURS].error}")
    steps = steps_per_run(config)
    rows = {
        name: _row(result, steps, config.batch_size) for name, result in results.items()
    }
    return {
        "config": spec,
        "batch_size": config.batch_size,
        "contestants": rows,
        "ratios": ratios(rows),
    }


def prepare(spec: str, batch_size: int | None = None):
    """Returns the config of `spec`, resolved as if its data were there."""
    config, _ = configs.load_file(spec)
    if batch_size is not None:
        config.batch_size = batch_size
    return configs.resolve(config, _Shapes(config))


class _Shapes:
    """What `configs.resolve` wants to know of the data."""

    def __init__(self, config):
        side = config.resolution
        self.shape = (side, side, config.channels) if side else (2,)
        self.n_classes = 10 if side else None


def contestants(config, against: str | None, gpu: bool) -> list[Contestant]:
    """Our step, and PyTorch's if asked for, in each setting worth comparing with."""
    text = configs.to_json(config)
    shared = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} if gpu else {}

    def ours(name, dtype):
        options = {"config": text, "dtype": dtype}
        return Contestant(name, f"{HERE}:our_step", options, shared)

    def theirs(*words):
        options = {
            "config": text,
            "channels_last": "channels_last" in words,
            "keep_pages": "allocator" in words,
            "compiled": "compiled" in words,
            "dtype": "bfloat16" if "bfloat16" in words else "float32",
            "device": "cuda" if gpu else "cpu",
        }
        return Contestant(" ".join(["torch", *words]), f"{HERE}:torch_step", options)

    field = [ours(OURS, config.dtype)]
    if gpu:
        field += [ours(f"{OURS} bfloat16", "bfloat16")]
    if against == "torch":
        layouts = [(), ("channels_last",)] if len(config.shape) == 3 else [()]
        settings = [(), ("compiled",)]
        settings += [("bfloat16",), ("bfloat16", "compiled")] if gpu else []
        settings += [] if gpu else [("allocator",), ("allocator", "compiled")]
        field += [theirs(*a, *b) for b in settings for a in layouts]
    return field


def steps_per_run(config) -> int:
    """Steps until the same moves come round again, in whole calls."""
    return math.lcm(config.n_critic, config.steps_per_call)


def our_step(config: str, dtype: str) -> Runner:
    """The compiled call of `experiments.training.loop`, in this process."""
    from experiments import process

    process.configure()
    import jax

    from experiments.benchmarks.workload import example
    from experiments.rundir import manifest
    from experiments.training.programs import Programs

    config = configs.from_json(config)
    config.dtype = dtype
    gan = configs.build(config)
    per_call = config.steps_per_call
    batch, prepare = example(config)
    programs = Programs(
        gan,
        seed=0,
        batch=batch,
        prepare=prepare,
        per_call=per_call,
    )
    call, compile_seconds = programs.start_compiling().result()
    if per_call > 1:
        batch = {name: x[None].repeat(per_call, 0) for name, x in batch.items()}
    batch, key = programs.put_batch(batch), programs.key(0)
    state = programs.init(0)
    # Past the moves that WGAN begins with.
    state = state.replace(step=state.step + config.get("warmup", 0))

    def run():
        nonlocal state
        for _ in range(steps_per_run(config) // per_call):
            state, metrics = call(state, batch, key)
        jax.block_until_ready((state, metrics))

    return Runner(
        {STEP: run},
        {"compile_seconds": compile_seconds, "device": jax.devices()[0].device_kind},
        manifest.peak_memory,
    )


def torch_step(
    config: str,
    *,
    channels_last: bool,
    keep_pages: bool,
    compiled: bool,
    dtype: str,
    device: str,
) -> Runner:
    """The step of `experiments.benchmarks.torch_reference`, in this process."""
    if keep_pages:
        from experiments import process

        process.keep_pages()
    import time

    import torch

    from experiments.benchmarks.torch_reference.training import Training
    from experiments.benchmarks.workload import example

    config = configs.from_json(config)
    torch.set_num_threads(os.cpu_count())
    training = Training(
        config,
        device=device,
        channels_last=channels_last,
        compiled=compiled,
        dtype=getattr(torch, dtype),
    )
    real, _ = example(config)
    real = real["image"] / 127.5 - 1 if "image" in real else real["point"]
    real = torch.tensor(real, dtype=torch.float32)
    if real.ndim == 4:
        real = real.permute(0, 3, 1, 2).contiguous(memory_format=training.format)
    real = real.to(device)

    def run():
        for _ in range(steps_per_run(config)):
            training.step(real)
        if device == "cuda":
            torch.cuda.synchronize()

    began = time.perf_counter()
    run()
    facts = {"compile_seconds": time.perf_counter() - began} if compiled else {}
    peak = torch.cuda.max_memory_allocated if device == "cuda" else None
    return Runner({STEP: run}, facts, peak)


def ratios(rows: dict[str, dict]) -> dict[str, float]:
    """Median time of PyTorch's best over ours (above 1: ours is faster), by setting.

    Settings: "eager", "eager allocator", "compiled" ...; each takes the better of the
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
    ms = sorted(1000 * s / steps for s in result.seconds[STEP])
    median = statistics.median(ms)
    quartiles = statistics.quantiles(ms, n=4) if len(ms) > 1 else [median] * 3
    return {
        "ms_per_step": median,
        "quartiles": [quartiles[0], quartiles[2]],
        "images_per_s": 1000 * batch_size / median,
        **result.facts,
        "samples_ms": [1000 * s / steps for s in result.seconds[STEP]],
    }


def hardware() -> dict:
    """What the figures were measured on, and with which versions."""
    cpu = "unknown"
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        cpu = lines[0].partition(":")[2].strip() if lines else cpu
    packages = [p for p in ("jax", "jaxlib", "flax", "torch") if util.find_spec(p)]
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        **{p: metadata.version(p) for p in packages},
    }


def table(found: dict) -> str:
    """The rows of a config as text."""
    lines = [f"{found['config']}, batch {found['batch_size']}"]
    lines.append(
        f"  {'':38}{'ms/step':>9}{'quartiles':>18}{'images/s':>10}{'compile':>9}"
        f"{'memory':>9}{'/ ours':>8}"
    )
    ours = found["contestants"][OURS]["ms_per_step"]
    for name, row in found["contestants"].items():
        if "error" in row:
            lines.append(f"  {name:38}failed: {row['error'][:60]}")
            continue
        low, high = row["quartiles"]
        compiling = row.get("compile_seconds")
        compiling = "-" if compiling is None else f"{compiling:.1f} s"
        ms = row["ms_per_step"]
        lines.append(
            f"  {name:38}{ms:9.4g}{f'{low:.4g} .. {high:.4g}':>18}"
            f"{row['images_per_s']:10.0f}{compiling:>9}"
            f"{row['peak_memory_bytes'] / 2**20:6.0f} MB{ms / ours:8.2f}"
        )
    for setting, ratio in found["ratios"].items():
        lines.append(f"  torch {setting} / {OURS}: {ratio:.2f}")
    return "\n".join(lines)


def main(argv):
    """Prints tables, writes JSON; returns the exit code."""
    del argv
    logging.set_verbosity(logging.WARNING)
    values = flags.FLAGS
    if values.against == "torch" and util.find_spec("torch") is None:
        print('error: --against=torch needs pip install ".[peers]"', file=sys.stderr)
        return 1
    show = _tell if sys.stderr.isatty() else (lambda line: None)
    report = {"hardware": hardware(), "configs": []}
    try:
        specs = [stabilisers.SPEC] if values.cures else CONFIGS
        for spec in values.config or (seeds.SPECS if values.seeds else specs):
            options = {
                "against": values.against,
                "batch_size": values.batch_size,
                "rounds": values.rounds,
                "tell": lambda line, spec=spec: show(f"{spec}: {line}"),
            }
            if values.layers or values.cures or values.seeds:
                del options["batch_size"]
                config = prepare(spec, values.batch_size)
                if values.seeds:
                    del options["against"]
                    found = seeds.benchmark(
                        config, values.seeds, steps=values.steps, turn=1.0, **options
                    )
                elif values.cures:
                    del options["against"]
                    found = stabilisers.benchmark(config, turn=2.0, **options)
                else:
                    found = layers.benchmark(config, turn=0.1, **options)
                found = {"config": spec, "batch_size": config.batch_size, **found}
            else:
                found = benchmark(spec, **options)
            show("")
            text = table
            if values.layers or values.cures:
                text = stabilisers.shown if values.cures else layers.table
            text = seeds.shown if values.seeds else text
            print(text(found), flush=True)
            report["configs"].append(found)
            if values.out:
                Path(values.out).write_text(json.dumps(report, indent=1) + "\n")
    except (ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _tell(line):
    print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    flags.DEFINE_multi_string("config", [], "PATH.py[:PRESET]; may be repeated.")
    flags.DEFINE_enum("against", None, ["torch"], "What to compare with.")
    flags.DEFINE_boolean("layers", False, "Each convolution of the step on its own.")
    flags.DEFINE_boolean("cures", False, "The step with each stabiliser.")
    flags.DEFINE_integer(
        "seeds", None, "So many runs in one program, and one by one.", lower_bound=2
    )
    flags.DEFINE_integer(
        "steps", None, "With --seeds: of the whole processes.", lower_bound=1
    )
    flags.DEFINE_integer("batch_size", None, "Instead of the configs'.")
    flags.DEFINE_integer("rounds", 9, "Turns of each contestant.", lower_bound=1)
    flags.DEFINE_string("out", None, "A JSON file with every sample.")
    app.run(main)
