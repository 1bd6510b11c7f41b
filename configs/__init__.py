"""One file per variant; presets by argument: `configs/wgan_gp.py:cifar10`."""
