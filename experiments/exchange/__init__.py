"""Weights given to others, and taken from them: files of state dicts."""
