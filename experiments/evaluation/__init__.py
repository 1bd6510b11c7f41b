"""Scores of a model or of two sets of images."""
