"""What a discriminator has learnt, read from its features: `experiments.probe`."""
