"""Classifiers that are trained on the data which they are to score."""
