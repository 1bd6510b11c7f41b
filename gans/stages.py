"""Training in stages: what each trains on, and what a stage takes over from the last.

Steps are counted through all stages, and data in examples.

A variant with `stages(config, spec) -> (Stage, ...)` builds the GAN of stage i by
`build(config, spec, stage=i)`; others have one stage.
"""

import dataclasses
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import jax

from gans.core import State
from gans.data.spec import Spec


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the training.

    Attributes:
      steps: of this stage, in batches.
      batch_size: examples in each batch.
      spec: of the data of this stage; its resolution may grow.
      reset_optimisers: this stage starts with new optimiser states.

    Raises ValueError unless it has at least one step of at least one example.
    """

    steps: int
    batch_size: int
    spec: Spec
    reset_optimisers: bool = False

    def __post_init__(self):
        for name in ("steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"a stage: {name}={getattr(self, name)} must be at least 1"
                )


def of(variant: ModuleType, config: Any, spec: Spec) -> tuple[Stage, ...]:
    """Returns the stages of a variant, by default one, which is the whole run."""
    if hasattr(variant, "stages"):
        return tuple(variant.stages(config, spec))
    return (Stage(config["steps"], config["batch_size"], spec),)


def first_step(stages: Sequence[Stage], index: int) -> int:
    """Returns how many steps come before stage `index`."""
    return sum(stage.steps for stage in stages[:index])


def first_row(stages: Sequence[Stage], index: int) -> int:
    """Returns how many examples come before stage `index`."""
    return sum(stage.steps * stage.batch_size for stage in stages[:index])


def index_of(stages: Sequence[Stage], step: int) -> int:
    """Returns the stage of the state after `step` steps: the one that made the last.

    A state at the border of two stages is still one of the first; one beyond all stages
    is of the last.
    """
    for index in range(len(stages) - 1):
        if step <= first_step(stages, index + 1):
            return index
    return len(stages) - 1


def examples(stages: Sequence[Stage], step: int) -> int:
    """Returns how many real examples the first `step` steps take."""
    index = index_of(stages, step)
    into = step - first_step(stages, index)
    return first_row(stages, index) + into * stages[index].batch_size


def carry(old: State, new: State, reset_optimisers: bool = False) -> State:
    """Returns the first state of a stage: `new`, with what it shares with `old`.

    Every leaf whose path, shape and dtype agree is `old`'s, `step` and `aux` included;
    layers that the stage adds start as in `new`. Frozen networks are `new`'s, and with
    `reset_optimisers` the optimiser states are too. Otherwise a parameter that is new
    has new moments but the old step count, so that Adam does not correct their bias.
    """
    kept = {
        path: leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(old.replace(frozen={}))
    }

    def chosen(path, leaf):
        before = kept.get(path)
        same = before is not None and (before.shape, before.dtype) == (
            leaf.shape,
            leaf.dtype,
        )
        return before if same else leaf

    carried = jax.tree_util.tree_map_with_path(chosen, new)
    if reset_optimisers:
        carried = carried.replace(opt=new.opt)
    return carried.replace(frozen=new.frozen)
