"""What is no definition: lambdas, classes, functions without a source, functions in other decorators."""

from pathlib import Path

import pytest

from carrousel import cell
from carrousel.errors import OptionTypeError
from mistakes import message_of

_UNREADABLE = (
    "  the source of this definition can not be read; a cell is made from a function's text\n"
    "  define it with `def` in a file or a notebook cell, not with exec, lambda or at the `>>>` prompt"
)
_ELSE = (
    "  a cell is made from one plain function, this is something else\n  write `def my_cell(x, h_prev, W, R, b): ...`"
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("exec('def mine(x, h_prev, W):\\n    return h')\ncell(mine)\n", "mine"),
        ("cell(print)\n", "print"),
        ("cell(functools.partial(print, 1))\n", "partial"),
    ],
    ids=["exec", "builtin", "partial"],
)
def test_unreadable_source(text: str, name: str, tmp_path: Path) -> None:
    _, message = message_of(text, tmp_path)
    assert message == f"{name}:  def {name}(...)\n{_UNREADABLE}"


@pytest.mark.parametrize(
    ("text", "name", "shown"),
    [
        (
            "mine = cell(lambda x, h_prev, W: W.h @ x)  # <-\n",
            "<lambda>",
            "mine = cell(lambda x, h_prev, W: W.h @ x)  # <-",
        ),
        (
            "mine = dict(\n    lstm=cell(lambda x, h_prev: x),  # <-\n)\n",
            "<lambda>",
            "lstm=cell(lambda x, h_prev: x),  # <-",
        ),
        (
            "@cell\nasync def mine(x, h_prev, W):  # <-\n    return h_prev\n",
            "mine",
            "async def mine(x, h_prev, W):  # <-",
        ),
    ],
    ids=["lambda", "part of a statement", "async"],
)
def test_something_else(text: str, name: str, shown: str, tmp_path: Path) -> None:
    line, message = message_of(text, tmp_path)
    assert message == f"{name} (line {line}):  {shown}\n{_ELSE}"


def test_decorator_below_cell(tmp_path: Path) -> None:
    text = "@cell\n@functools.cache\ndef mine(x, h_prev, W):\n    h = W.h @ x\n    return h\n"
    _, message = message_of(text, tmp_path)
    assert message == (
        "mine:  def mine(...)\n"
        "  another decorator stands between @cell and the definition, and would be lost\n"
        "  write @cell right above the `def`; what changes cells goes above @cell"
    )


def test_not_a_function() -> None:
    with pytest.raises(OptionTypeError) as caught:
        cell(3)
    assert str(caught.value) == "@cell - expected a function, got 3 - write @cell above a `def`"
