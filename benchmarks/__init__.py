"""Measurements that anyone can repeat: `make bench`, or one of them by `python -m benchmarks.NAME --help`."""
