"""Skygate beside its peers, after smaller benchmarks; options are those of `benchmarks.peers`.

With `--smoke` or `--case` the smaller ones are left out. Each can be run alone with options of its own.
"""

import subprocess
import sys

SMALL = (
    ("benchmarks.adql_compile",),
    ("benchmarks.queries",),
    ("benchmarks.lookups", "--rows", "2000000"),
    ("benchmarks.publish", "--rows", "1000000", "--form", "fits", "--form", "csv"),
)


def main() -> None:
    """Each in a process of its own, so that none warms or fattens another."""
    given = sys.argv[1:]
    alone = any(a in ("-h", "--help", "--smoke") or a.startswith("--case") for a in given)
    for module, *arguments in (*(() if alone else SMALL), ("benchmarks.peers", *given)):
        print(f"\n== {module} {' '.join(arguments)}", flush=True)
        ended = subprocess.run([sys.executable, "-m", module, *arguments], check=False)
        if ended.returncode:
            raise SystemExit(ended.returncode)


if __name__ == "__main__":
    main()
