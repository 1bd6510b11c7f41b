"""Tools of the latent spaces of generators with a mapping network: a file a verb.

Such a generator maps z to one latent w for each of its layers, `ws` [n_ws, w_dim], and
makes a picture of these. `generator.py` finds it in a run and says what it must have;
`points.py` reads which latents a command is about; `mix`, `interpolate`, `project`,
`edit` and `directions` are the verbs of `experiments.latents`.
"""
