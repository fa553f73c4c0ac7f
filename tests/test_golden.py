"""What is generated for every cell of the registry, as text files: a change of generated code is a visible diff.

To write the files anew: CARROUSEL_GOLDEN=write python -m pytest tests/test_golden.py
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from carrousel import cells
from carrousel.cell import Cell

FOLDER = Path(__file__).parent / "golden"


def generated(cell: Cell) -> str:
    """Everything that is derived from a cell's text, one section each."""
    sections = {
        "equations": str(cell),
        "adjoint": str(cell.adjoint),
        "eager forward": cell.source("eager", "forward").rstrip(),
        "eager backward": cell.source("eager", "backward").rstrip(),
    }
    return "\n\n".join(f"==== {title}\n\n{text}" for title, text in sections.items()) + "\n"


@pytest.mark.parametrize("name", cells.names())
def test_golden(name: str) -> None:
    path, text = FOLDER / f"{name}.txt", generated(cells.get(name))
    if os.environ.get("CARROUSEL_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_no_file_of_a_cell_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(cells.names())


@pytest.mark.parametrize("seed", ["0", "1"])
def test_text_does_not_depend_on_the_hash_seed(seed: str, tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_golden import *\n"
        "for name in cells.names():\n"
        "    test_golden(name)\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed, "CARROUSEL_CACHE": str(tmp_path), "CARROUSEL_GOLDEN": ""}
    done = subprocess.run([sys.executable, "-c", script, str(FOLDER.parent)], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
