"""Cells by name, from a file, as they are."""

import re
from pathlib import Path

import pytest

from carrousel import cells
from carrousel.errors import CarrouselError, OptionTypeError
from carrousel.models.own_cell import find

FILE = '''
from carrousel import cell
from carrousel.functions import tanh

@cell
def mine(x, h_prev, W, R, b):
    """A unit. Source: nobody (2026)."""
    h = tanh(W.h @ x + R.h @ h_prev + b.h)
    return h
'''


def test_a_name_a_file_and_a_cell(tmp_path: Path) -> None:
    (tmp_path / "cells.py").write_text(FILE)
    assert find("gru") is cells.get("gru")
    assert find(f"{tmp_path}/cells.py:mine").states == ("h",)
    assert find(cells.get("lstm")) is cells.get("lstm")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.py:mine", FILE, "cell - no file"),
        ("cells.py:main", FILE, "has no cell 'main'; it has mine. Did you mean mine?"),
        ("cells.py:mine", "def mine(:", "does not run: invalid syntax"),
        ("cells.py:mine", "import nothing_of_this_name", "does not run: No module named 'nothing_of_this_name'"),
        (
            "cells.py:mine",
            "import sys\nsys.exit(3)",
            "cell - cells.py does not run: it raises SystemExit(3) when it is",
        ),
        ("cells.py:mine", "raise SystemExit", "it raises SystemExit() when it is read - mend the file"),
        ("cells.py:mine", "1 / 0", "it raises ZeroDivisionError('division by zero') when it is read - mend the file"),
        (
            "cells.py:mine",
            FILE.replace("h_prev +", "h_prve +").replace("@ h_prev", "@ h_prve"),
            "unknown name 'h_prve'",
        ),
        ("cells.txt:mine", FILE, "is no Python file - expected path/to/file.py:name"),
        ("lstmm", FILE, "Did you mean"),
    ],
)
def test_what_can_not_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("cells.py", "cells.txt"):
        Path(file).write_text(content)
    with pytest.raises(CarrouselError, match=re.escape(said)):
        find(name)


@pytest.mark.parametrize("cell", [3, None, Path("cells.py:mine")])
def test_what_is_neither_a_text_nor_a_cell(cell: object) -> None:
    said = f"cell - is {cell!r}, expected a name, path/to/file.py:name, or a Cell - give one"
    with pytest.raises(OptionTypeError, match=f"^{re.escape(said)}$"):
        find(cell)  # type: ignore[arg-type]
