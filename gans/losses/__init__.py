"""Scalars to be minimised: adversarial losses and penalties."""
