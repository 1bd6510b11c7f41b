"""Layers of the networks: convolutions, norms, attention, resampling."""
