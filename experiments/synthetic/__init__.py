"""What samples teach a classifier: `experiments.augmentation`."""
