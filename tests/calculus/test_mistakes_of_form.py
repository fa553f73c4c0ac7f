"""What a newcomer gets wrong around the equations: signature, statements, names, returns, the decorator."""

from pathlib import Path

import pytest

from carrousel.errors import DefinitionError
from mistakes import import_text, message_of, pinned

_LINES = "write one `name = expression` a line, then `return` the new states"
_CHOICE = "use maximum, minimum, clip, relu or step of carrousel.functions: they have a derivative"
_PLAIN = (
    "a definition has plain arguments only: x, <state>_prev..., then the parameter groups; "
    "constants come from around the definition"
)
_USE = "use it or take it out of the signature"

#: The arguments of a cell whose equations are right; what is wrong with them; what to do.
SIGNATURES = [
    ("", "the first argument is missing, expected x", "begin the signature with x, the input of this step"),
    (
        "h_prev, x, W, R, b",
        "the first argument is h_prev, expected x",
        "begin the signature with x, the input of this step",
    ),
    (
        "x, W, R, b",
        "no argument is called <state>_prev, so the cell has no state and nothing recurs",
        "add the output's previous value, for example h_prev, after x",
    ),
    ("x, h_prev, W, R, b=1", "the signature has defaults, *args, ** or keyword-only arguments", _PLAIN),
    ("x, h_prev, *groups", "the signature has defaults, *args, ** or keyword-only arguments", _PLAIN),
    ("x, h_prev, *, W, R, b", "the signature has defaults, *args, ** or keyword-only arguments", _PLAIN),
    ("x, h_prev, W, R, b, **more", "the signature has defaults, *args, ** or keyword-only arguments", _PLAIN),
    (
        "x, h_prev, W: dict, R, b",
        "the signature has type annotations",
        "leave them out: the names say what the arguments are",
    ),
    (
        "x, W, h_prev, R, b",
        "h_prev stands after a parameter group or step input",
        "put the states right after x",
    ),
    ("x, h_prev, W, R, b, m_t", "the step input m_t stands after a parameter group", "put it right after the states"),
    ("x, h_prev, W, R, b, p", "the argument p is never used", _USE),
    ("x, h_prev, m_t, W, R, b", "the argument m_t is never used", _USE),
    ("x, h_prev, W, R, step", "step is a function of carrousel.functions", "choose another name for step"),
    (
        "x, h_prev, W, R, _b",
        "_b begins with an underscore; such names belong to the generated kernels",
        "choose another name for _b",
    ),
    (
        "x, h_prev, W, R, dh",
        "dh is the name of an adjoint: the derivative of the loss by h",
        "choose another name for dh",
    ),
    (
        "x, h_prev, dh_prev, W, R, b",
        "the derivative of the loss by h_prev would be called dh_prev, and that name is taken",
        "choose another name for h_prev",
    ),
]

#: A line of a cell, marked; the equation that is shown; what is wrong; what to do.
LINES = [
    (
        "h = z\n    h = z + 1  # <-",
        "h = z + 1",
        "the name h is bound twice",
        "give each quantity a name of its own; it keeps that name everywhere",
    ),
    (
        "h_prev = z  # <-\n    h = z",
        "h_prev = z",
        "h_prev is an argument and can not be bound",
        "give the new quantity a name of its own",
    ),
    (
        "W = z  # <-\n    h = z",
        "W = z",
        "W is an argument and can not be bound",
        "give the new quantity a name of its own",
    ),
    (
        "z += 1  # <-\n    h = z",
        "z += 1",
        "z would be bound twice",
        "write a new name for the new quantity: `z2 = z + ...`",
    ),
    ("h, c = z, z  # <-", "h, c = (z, z)", "this line binds more than one plain name", _LINES),
    ("h = c = z  # <-", "h = c = z", "this line binds more than one plain name", _LINES),
    ("b.h = z  # <-\n    h = z", "b.h = z", "this line binds more than one plain name", _LINES),
    (
        "c_prev = z  # <-\n    h = z",
        "c_prev = z",
        "c_prev ends in _prev or _t, which mark arguments",
        "choose another name for c_prev",
    ),
    (
        "dx = z  # <-\n    h = dx",
        "dx = z",
        "dx is the name of an adjoint: the derivative of the loss by x",
        "choose another name for dx",
    ),
    (
        "dq = z\n    q = dq  # <-\n    h = q",
        "q = dq",
        "the derivative of the loss by q would be called dq, and that name is taken",
        "choose another name for q",
    ),
    (
        "el = z  # <-\n    h = el",
        "el = z",
        "the derivative of the loss by el would be called del, which is a word of Python",
        "choose another name for el",
    ),
    (
        "step = z  # <-\n    h = step",
        "step = z",
        "step is a function of carrousel.functions",
        "choose another name for step",
    ),
    (
        "outer = z  # <-\n    h = outer",
        "outer = z",
        "outer is a name that the generated kernels use themselves",
        "choose another name for outer",
    ),
    (
        "_ = z  # <-\n    h = _",
        "_ = z",
        "_ begins with an underscore; such names belong to the generated kernels",
        "choose another name for _",
    ),
    (
        "if z > 0:  # <-\n        h = z",
        "if z > 0:",
        "an `if` chooses between equations, but a cell's equations are the same at every step",
        _CHOICE,
    ),
    (
        "match z:  # <-\n        case 0:\n            h = z",
        "match z:",
        "a `match` chooses between equations, but a cell's equations are the same at every step",
        _CHOICE,
    ),
    (
        "for k in range(3):  # <-\n        h = z",
        "for k in range(3):",
        "a definition has no loops; it is one step",
        "write each quantity on a line; the layer walks over the steps",
    ),
    (
        "while True:  # <-\n        h = z",
        "while True:",
        "a definition has no loops; it is one step",
        "write each quantity on a line; the layer walks over the steps",
    ),
    ("def inner():  # <-\n        return 1\n    h = z", "def inner():", "a definition has no function inside", _LINES),
    ("import math  # <-\n    h = z", "import math", "a definition imports nothing", "import above the definition"),
    (
        "from math import pi  # <-\n    h = z",
        "from math import pi",
        "a definition imports nothing",
        "import above the definition",
    ),
    ("h: float = z  # <-", "h: float = z", "a line has no type annotation", "write `name = expression`"),
    ("print(z)  # <-\n    h = z", "print(z)", "this line has a value but no name", _LINES),
    ("'a comment'  # <-\n    h = z", "'a comment'", "this line has a value but no name", _LINES),
    ("pass  # <-\n    h = z", "pass", "a definition has no `pass` statement", _LINES),
    ("del z  # <-\n    h = z", "del z", "a definition has no `del` statement", _LINES),
    ("global rate  # <-\n    h = z", "global rate", "a definition has no `global` statement", _LINES),
    ("class Inner:  # <-\n        pass\n    h = z", "class Inner:", "a definition has no `class` statement", _LINES),
    ("with open('file'):  # <-\n        h = z", "with open('file'):", "a definition has no `with` statement", _LINES),
    ("try:  # <-\n        h = z\n    finally:\n        pass", "try:", "a definition has no `try` statement", _LINES),
    ("assert z  # <-\n    h = z", "assert z", "a definition has no `assert` statement", _LINES),
    ("raise ValueError  # <-\n    h = z", "raise ValueError", "a definition has no `raise` statement", _LINES),
    ("return z  # <-\n    h = z", "return z", "lines follow this return", "return once, at the end"),
]

#: The end of a cell with states h and c, marked; what is wrong; what to do.
ENDS = [
    (
        "h = z\n    return h  # <-",
        "return h",
        "c_prev is an argument, so c is a state, but no line computes its new value c",
        "add a line `c = ...`, or take c_prev out of the signature",
    ),
    (
        "c = z\n    h = c\n    return c, h  # <-",
        "return (c, h)",
        "returns (c, h), expected the states in the order of the signature: (h, c)",
        "write `return h, c`",
    ),
    (
        "c = z\n    h = c\n    return h  # <-",
        "return h",
        "returns (h), expected the states in the order of the signature: (h, c)",
        "write `return h, c`",
    ),
    (
        "c = z\n    h = c\n    return h, c, z  # <-",
        "return (h, c, z)",
        "returns (h, c, z), expected the states in the order of the signature: (h, c)",
        "write `return h, c`",
    ),
    (
        "c = z\n    h = c\n    return tanh(h), c  # <-",
        "return (tanh(h), c)",
        "an expression is returned, expected names of states",
        "name it on a line above, then `return h, c`",
    ),
    (
        "c = z\n    h = c\n    return [h, c]  # <-",
        "return [h, c]",
        "an expression is returned, expected names of states",
        "name it on a line above, then `return h, c`",
    ),
]

#: What only the whole definition shows: its text, what is wrong, what to do. The signature is marked.
WHOLES = [
    ("def mine(x, h_prev):  # <-\n    pass", "nothing is returned", "end with `return h`"),
    ("def mine(x, h_prev):  # <-\n    'To do.'", "nothing is returned", "end with `return h`"),
    ("def mine(x, h_prev, W):  # <-\n    h = W.h @ x", "nothing is returned", "end with `return h`"),
    ("def mine(x, h_prev, W):  # <-\n    h = W.h @ x\n    return", "nothing is returned", "end with `return h`"),
    ("def mine(x, h_prev, R):  # <-\n    h = R.h @ h_prev\n    return h", "the argument x is never used", _USE),
    (
        "def mine(x, h_prev, i_prev, W):  # <-\n    i = 1\n    h = i_prev * (W.h @ x)\n    return h, i",
        "the state i depends neither on x nor on a previous state",
        "take i_prev out of the signature and i out of the return",
    ),
    (
        "def mine(x, h_prev, W, P):  # <-\n    m = tanh(W.m @ x)\n    q = P.q @ m\n    h = P.h @ m\n    return h",
        "group P projects the output and makes other quantities too",
        "use a group of its own for the projection: h = P.h @ ...",
    ),
    (
        "def rate(x, h_prev, W):  # <-\n    h = rate * (W.h @ x)\n    return h",
        "rate is both the cell and what its equations use",
        "give the cell a name of its own",
    ),
    (
        "def tanh(x, h_prev, W):  # <-\n    h = tanh(W.h @ x)\n    return h",
        "tanh is both the cell and what its equations use",
        "give the cell a name of its own",
    ),
]


@pytest.mark.parametrize(("arguments", "what", "todo"), SIGNATURES, ids=[s[0] or "none" for s in SIGNATURES])
def test_signature(arguments: str, what: str, todo: str, tmp_path: Path) -> None:
    bias = arguments.rpartition(", ")[2]
    bias = bias if bias in ("step", "_b", "dh") else "b"
    text = f"@cell\ndef mine({arguments}):  # <-\n    h = tanh(W.h @ x + R.h @ h_prev + {bias}.h)\n    return h\n"
    line, message = message_of(text, tmp_path)
    assert message == f"mine (line {line}):  def mine({arguments})\n  {what}\n  {todo}"


@pytest.mark.parametrize(("lines", "equation", "what", "todo"), LINES, ids=[line[0] for line in LINES])
def test_line(lines: str, equation: str, what: str, todo: str, tmp_path: Path) -> None:
    text = (
        f"@cell\ndef mine(x, h_prev, W, R, b):\n    z = tanh(W.z @ x + R.z @ h_prev + b.z)\n    {lines}\n    return h\n"
    )
    line, message = message_of(text, tmp_path)
    assert message == f"mine (line {line}):  {equation}\n  {what}\n  {todo}"


@pytest.mark.parametrize(("lines", "equation", "what", "todo"), ENDS, ids=[end[0] for end in ENDS])
def test_end(lines: str, equation: str, what: str, todo: str, tmp_path: Path) -> None:
    text = f"@cell\ndef mine(x, h_prev, c_prev, W, R):\n    z = W.z @ x + R.z @ h_prev + c_prev\n    {lines}\n"
    line, message = message_of(text, tmp_path)
    assert message == f"mine (line {line}):  {equation}\n  {what}\n  {todo}"


@pytest.mark.parametrize(("text", "what", "todo"), WHOLES, ids=[whole[1] for whole in WHOLES])
def test_whole(text: str, what: str, todo: str, tmp_path: Path) -> None:
    line, message = message_of(f"@cell\n{text}\n", tmp_path)
    signature = text.partition(":")[0]
    name = signature[4:].partition("(")[0]
    assert message == f"{name} (line {line}):  {signature}\n  {what}\n  {todo}"


# ---------------------------------------------------------------------- constants around the definition


def test_constant_that_a_later_line_binds(tmp_path: Path) -> None:
    text = "@cell\ndef mine(x, h_prev, W):\n    h = rate * (W.h @ x)  # <-\n    rate = 2 * h\n    return h\n"
    line, message = message_of(text, tmp_path)
    assert pinned(message, line) == (
        "mine (line <line>):  h = rate * (W.h @ x)\n"
        "  rate is used before line <next> computes it\n"
        "  move its line above this one"
    )


def test_constant_that_the_enclosing_function_binds_later(tmp_path: Path) -> None:
    text = """
def make():
    @cell
    def mine(x, h_prev, W):
        h = later * (W.h @ x)  # <-
        return h

    later = 2
    return mine


make()
"""
    line, message = message_of(text, tmp_path)
    assert message == (
        f"mine (line {line}):  h = later * (W.h @ x)\n"
        "  unknown name 'later'; states and quantities at this line are h_prev.\n"
        "  compute it on a line above, or add it to the signature"
    )


# ---------------------------------------------------------------------- the decorator's options


@pytest.mark.parametrize(
    ("option", "what", "todo"),
    [
        ("initial={'hh': 1}", "initial= names 'hh'; the states are h.", "Did you mean h?"),
        ("initial={'h': 'a'}", "initial= gives h the value 'a', expected a number", "give an int or float"),
        ("initial={'h': math.nan}", "initial= gives h the value nan, expected a number", "give an int or float"),
        ("initial={'h': True}", "initial= gives h the value True, expected a number", "give an int or float"),
        ("initial=3", "initial= is 3, expected state -> number", 'write initial={"m": -inf}'),
        ("shared=('i',)", "shared= names 'i'; the quantities are z, h.", "name one of the quantities"),
        ("gains='b'", "gains= is the text 'b', expected names", 'write gains=("b",)'),
        ("gains=('W',)", "gains= names 'W'; the groups of vectors are none.", "name one of the groups of vectors"),
        ("shared='z'", "shared= is the text 'z', expected names", 'write shared=("z",)'),
    ],
)
def test_option(option: str, what: str, todo: str, tmp_path: Path) -> None:
    text = f"@cell({option})\ndef mine(x, h_prev, W):\n    z = W.z @ x\n    h = z\n    return h\n"
    _, message = message_of(text, tmp_path)
    assert message == f"mine:  @cell({option.partition('=')[0]}=...)\n  {what}\n  {todo}"


def test_two_mistakes_show_the_first(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="yonder"):
        import_text("@cell\ndef mine(x, h_prev):\n    z = yonder\n    h = beyond\n    return h\n", tmp_path)
