"""All promises of a config, a line for each."""

from __future__ import annotations

import itertools
import traceback
from pathlib import Path

from ml_collections import ConfigDict

from experiments import config as configs
from experiments.contracts import promises, trial
from experiments.contracts.promises import Promise, Skipped
from experiments.contracts.trial import Trial
from experiments.training.stage import Ready, Stages

N_EVALUATE = 500  # samples, at most
SHOWN = 3  # faults of a promise
OURS = [Path(__file__).parents[2] / name for name in ("gans", "experiments")]


def write(config: ConfigDict) -> int:
    """Trains a few steps of each stage, prints what it keeps; returns the exit code.

    Raises ValueError for a config that cannot be run.
    """
    config = configs.override(
        config, {"n_evaluate": min(config.n_evaluate, N_EVALUATE)}
    )
    source = configs.load_data(config)
    try:
        stages = Stages(configs.resolve(config, source), source)
    except (ValueError, OSError):
        raise
    except Exception as error:  # a user's own part may raise anything
        print(line("FAILED", "The networks are built", reason(error)))
        return 1
    broken = 0
    for index in range(len(stages)):
        if len(stages) > 1:
            print(f"stage {index + 1} of {len(stages)}")
        lines = of_stage(stages.get(index))
        print("\n".join(lines), flush=True)
        broken += sum(line.startswith("FAILED") for line in lines)
    stages.close()
    print(f"{broken} broken" if broken else "all kept")
    return 1 if broken else 0


def of_stage(ready: Ready) -> list[str]:
    """Returns the lines of a stage that is ready to be trained."""
    batches = ready.batches(stream=0)

    def batch(step):
        return batches.prepare(batches[ready.first + step])

    try:
        begun = trial.begin(ready.config, ready.gan, batch, ready.evaluate)
    except Exception as error:
        return [line("FAILED", "The step is compiled and run.", reason(error))]
    return [line_of(promise, begun) for promise in promises.PROMISES]


def line_of(promise: Promise, begun: Trial) -> str:
    """Returns the line of one promise."""
    said = promise.__doc__.partition("\n")[0]
    try:
        faults = list(itertools.islice(promise(begun), SHOWN + 1))
    except Skipped as skipped:
        return line("skipped", said, str(skipped))
    except Exception as error:
        faults = [reason(error)]
    if len(faults) > SHOWN:
        faults[SHOWN:] = ["..."]
    return line("FAILED" if faults else "ok", said, "; ".join(faults))


def line(result: str, said: str, why: str = "") -> str:
    """Returns "RESULT  what was promised: why"."""
    return f"{result:8}{said.rstrip('.')}" + (f": {why}" if why else "")


def reason(error: Exception) -> str:
    """Returns an error in one line, with the last line of the user's code in it."""
    said = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename
        and not {*OURS} & {*Path(frame.filename).parents}
        and frame.filename[0] != "<"
    ]
    if not frames:
        return said
    return f"{said} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"
