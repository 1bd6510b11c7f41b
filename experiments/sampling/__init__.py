"""Samples of a trained model, and pictures of them."""
