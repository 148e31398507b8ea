"""Runs every benchmark at a size that fits a laptop; each can be run alone with options of its own."""

import subprocess
import sys

ALL = (
    ("benchmarks.adql_compile",),
    ("benchmarks.queries",),
    ("benchmarks.lookups", "--rows", "2000000"),
    ("benchmarks.publish", "--rows", "1000000", "--form", "fits", "--form", "csv"),
)


def main() -> None:
    """Each in a process of its own, so that none warms or fattens another."""
    for module, *arguments in ALL:
        print(f"\n== {module} {' '.join(arguments)}", flush=True)
        subprocess.run([sys.executable, "-m", module, *arguments], check=True)


if __name__ == "__main__":
    main()
