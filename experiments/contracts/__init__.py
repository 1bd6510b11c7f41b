"""What every variant promises, each promise a function of a few steps of training.

`trial` trains them, `promises` has the functions, `report` runs all of them and prints
a line for each. The tests ask them of the shipped variants, and `experiments.check` of
a user's config.
"""
