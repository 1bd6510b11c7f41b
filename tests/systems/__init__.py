"""Small GANs of other shapes than the shipped ones, each a file of its own.

They show that the contracts carry them: nothing of gans/ or experiments/ knows of them.
Each file is a variant (`build`, perhaps `stages`), its data set (`source`) and its
config (`get_config`), as a user's own file would be.
"""
