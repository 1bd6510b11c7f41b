"""The verbs of `experiments.latents`, by name."""

from experiments.latent_space import (
    arithmetic,
    directions,
    edit,
    interpolate,
    mix,
    motion,
    project,
    sticking,
)

VERBS = {
    module.__name__.rpartition(".")[2]: module.run
    for module in (mix, interpolate, project, directions, edit, arithmetic, sticking)
}
VERBS |= {"pan": motion.pan, "rotate": motion.rotate}
