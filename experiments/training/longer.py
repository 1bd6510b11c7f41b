"""Whether a run may go on with other steps, or keys of its variant, bit for bit."""

from __future__ import annotations

from pathlib import Path

from ml_collections import ConfigDict

from experiments import config as configs
from experiments.training import effects
from gans import stages


def compare(path: Path, config: ConfigDict, done: int) -> None:
    """Raises ValueError unless a run whose config is in `path` may go on with `config`.

    done: steps of its checkpoint.
    """
    check(configs.compare(path, config), config, done)


def check(old: ConfigDict, new: ConfigDict, done: int) -> None:
    """Raises ValueError unless the steps made so far are those that `new` would make.

    They are where nothing that has been computed depends on what differs. The error
    names what does.

    old, new: resolved, and alike but for `steps` and keys that are the variant's own.
    done: steps of the checkpoint.
    """
    changes = configs.differences(old.to_dict(), new.to_dict(), configs.FREE)
    if not changes:
        return
    change = "config." + ", config.".join(changes)
    if new.steps < done:
        raise ValueError(
            f"{change}, but the checkpoint is after step {done}; steps can be lowered "
            "to that, and raised; another --workdir starts anew"
        )
    before, after = configs.stages(old), configs.stages(new)
    for index in range(stages.index_of(before, done) + 1):
        why = _stage(before, after, index, done)
        if not why and effects.of_stage(old, index) != effects.of_stage(new, index):
            why = _depending(new) or f"{new.variant} computes with it"
        if why:
            raise ValueError(
                f"{change} is another training from its first step on, because {why}; "
                "--allow-config-change continues anyway; another --workdir starts anew"
            )


def _stage(before, after, index, done):
    """What is different in the steps that a stage has made; "" for nothing."""
    if index >= len(after):
        return f"it has {len(after)} stages, not {len(before)}"
    first, end = (stages.first_step(before, index + i) for i in (0, 1))
    one, other = before[index], after[index]
    made = min(end, done) - first
    if stages.first_step(after, index) != first or other.steps < made:
        return f"stage {index + 1} would have {other.steps} steps, not {one.steps}"
    if done > end and other.steps != one.steps:
        return f"stage {index + 1} would have {other.steps} steps, not {one.steps}"
    if (one.batch_size, one.spec) != (other.batch_size, other.spec):
        return f"stage {index + 1} would have other batches"
    return ""


def _depending(config):
    """The keys of a game whose schedules end at the last step, in words."""
    ending = [
        f"config.{role}.optimizer.schedule={player['optimizer']['schedule']}"
        for role, player in config.to_dict().items()
        if isinstance(player, dict)
        and isinstance(player.get("optimizer"), dict)
        and player["optimizer"].get("schedule", "constant") != "constant"
    ]
    if not ending:
        return ""
    verb = "ends" if len(ending) == 1 else "end"
    return f"{' and '.join(ending)} {verb} at the last step (constant does not)"
