"""Classifiers trained on the data set whose samples they score."""
