"""Experiments about the project's own claims."""
