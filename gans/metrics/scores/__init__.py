"""Scores of samples: pure functions of numpy arrays."""
