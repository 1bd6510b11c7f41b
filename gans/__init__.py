"""Every GAN that matters, as pure functions."""
