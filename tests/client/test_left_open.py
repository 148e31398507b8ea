"""A script that ends without closing its client ends quietly."""

import subprocess
import sys

SCRIPT = """
import skygate
gate = skygate.connect({root!r})
rows = gate.query("SELECT TOP 3 id FROM mini.stars")
assert len(rows) == 3
"""


def test_a_client_left_open_leaves_no_noise(tmp_path):
    from releases_made import make_release

    make_release(tmp_path)
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT.format(root=str(tmp_path))],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
