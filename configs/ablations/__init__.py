"""Ablations: one file each, run by `python -m experiments.ablate --config=FILE`."""
