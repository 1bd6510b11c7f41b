"""Commands: everything that touches disk, clock, logs and devices."""
