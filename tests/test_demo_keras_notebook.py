"""demos/keras_notebook.py, where the package that it draws with is missing.

What it computes is tested beside the other notebooks, in test_keras_notebooks.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parent.parent / "demos" / "keras_notebook.py"


def test_a_missing_package_is_told_in_one_line_before_anything_is_done(tmp_path):
    without = (
        "import runpy, sys\n"
        "sys.modules['matplotlib'] = None\n"
        f"sys.path.insert(0, {str(DEMO.parent)!r})\n"
        f"sys.argv = ['keras_notebook.py', '--out', {str(tmp_path / 'made')!r}]\n"
        f"runpy.run_path({str(DEMO)!r}, run_name='__main__')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", without], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert "matplotlib" in line
    assert 'pip install -e ".[demo]"' in line
    assert not (tmp_path / "made").exists()
