"""Networks that turn images into features, and how their weights are read."""
