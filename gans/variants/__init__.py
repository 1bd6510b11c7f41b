"""One file per GAN: its losses, and `build(config, stage) -> GAN`."""
