"""The folder of a run: what is written there, and how it is opened again."""

from experiments.rundir.folder import claim

__all__ = ["claim"]
