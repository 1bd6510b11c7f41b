"""Samples by the million: in shards, each whole or not there."""
