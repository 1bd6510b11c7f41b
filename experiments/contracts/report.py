"""All promises of a config, a line for each."""

from __future__ import annotations

import itertools

from ml_collections import ConfigDict

from experiments import config as configs
from experiments import own_code
from experiments.contracts import promises, trial
from experiments.contracts.promises import Promise, Skipped
from experiments.contracts.trial import Trial
from experiments.training.stage import Ready, Stages

N_EVALUATE = 500  # samples, at most
SHOWN = 3  # faults of a promise


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
        print(line("FAILED", "The networks are built", reason(error, config)))
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
        said = "The step is compiled and run"
        return [line("FAILED", said, reason(error, ready.config))]
    return [line_of(promise, begun) for promise in promises.PROMISES]


def line_of(promise: Promise, begun: Trial) -> str:
    """Returns the line of one promise."""
    said = promise.__doc__.partition("\n")[0]
    if begun.not_finite and promise in promises.OF_NUMBERS:
        return line("skipped", said, "numbers are not finite")
    try:
        faults = list(itertools.islice(promise(begun), SHOWN + 1))
    except Skipped as skipped:
        return line("skipped", said, str(skipped))
    except Exception as error:
        faults = [reason(error, begun.config)]
    if len(faults) > SHOWN:
        faults[SHOWN:] = ["..."]
    return line("FAILED" if faults else "ok", said, "; ".join(faults))


def line(result: str, said: str, why: str = "") -> str:
    """Returns "RESULT  what was promised: why"."""
    return f"{result:8}{said.rstrip('.')}" + (f": {why}" if why else "")


def reason(error: Exception, config: ConfigDict) -> str:
    """Returns an error in one line, with the line of the user's code that led to it."""
    return str(own_code.explain(error, config) or own_code.text(error))
