"""Skygate beside named peers on the same rows in the same run: `python -m benchmarks.peers --help`."""
