"""The verbs of `experiments.latents`, by name."""

from experiments.latent_space import directions, edit, interpolate, mix, project

VERBS = {
    module.__name__.rpartition(".")[2]: module.run
    for module in (mix, interpolate, project, directions, edit)
}
