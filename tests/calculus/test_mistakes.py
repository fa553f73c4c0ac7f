"""What a newcomer gets wrong inside an equation: every message in full, with the file's own line number."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.calculus.notation import parse
from carrousel.cell import Cell
from carrousel.errors import DefinitionError
from carrousel.functions import TABLE
from mistakes import message_of, pinned

_FUNCTIONS = ", ".join(TABLE)
_CHOICE = "use maximum, minimum, clip, relu or step of carrousel.functions: they have a derivative"
_CONDITION = "is a condition, but the equations are the same at every step"
_NUMBERS = "constants are int or float; a tensor that learns is a parameter group in the signature"
_NOTATION = "use + - * / **, `group.gate @ operand` and the functions of carrousel.functions"
_IMPORT = "from carrousel.functions import {0}, and write {0}(...): it has a derivative in the calculus"
_EXPONENT = "write the number itself; for a ** b of two quantities, exp(b * log(a))"
_INFINITE = "an infinite number may bound maximum, minimum and clip, or begin a state: @cell(initial=...)"
_BRING_X = "bring x to the hidden size with a matrix: W.gate @ x"
_KNOWN = "states and quantities at this line are h_prev, z."

#: The right side of `h = ...` in a small cell, what is wrong with it, what to do.
MISTAKES = [
    # names
    ("z * h_old", f"unknown name 'h_old'; {_KNOWN}", "Did you mean h_prev?"),
    ("z_new + h_prev", f"unknown name 'z_new'; {_KNOWN}", "Did you mean z?"),
    ("zz * h_prev", f"unknown name 'zz'; {_KNOWN}", "Did you mean z?"),
    ("z + yonder", f"unknown name 'yonder'; {_KNOWN}", "compute it on a line above, or add it to the signature"),
    ("z + h", "h is used before line <line> computes it", "use h_prev for its value at the last step"),
    ("z + late", "late is used before line <next> computes it", "move its line above this one"),
    ("tanh * z", "the function tanh stands without its argument", "call it: tanh(...)"),
    # products
    (
        "z + W.i @ h_prev",
        "W holds the input weights and multiplies x only; here it multiplies `h_prev`",
        "use the recurrent weights: R.i @ h_prev",
    ),
    ("z + R.i @ x", "R holds the recurrent weights; here it multiplies x", "use the input weights: W.i @ x"),
    (
        "R.a @ (R.b @ h_prev)",
        "`R.a @ (R.b @ h_prev)` is a product of a product",
        "name the inner product on a line of its own and multiply that name",
    ),
    (
        "R.a @ R.b @ h_prev",
        "`R.a @ R.b @ h_prev` is a product of a product",
        "name the inner product on a line of its own and multiply that name",
    ),
    (
        "W.i * x + z",
        "W.i is a matrix and is used without @",
        "multiply it: W.i @ x or W.i @ h_prev; a group with one value per hidden unit has a lower-case name (w.i)",
    ),
    (
        "b.i @ x + z",
        "b is lower-case, so b.i holds one value per hidden unit; here it is a matrix with @",
        "write b.i * ..., or call the group B if it holds matrices",
    ),
    ("W @ x + z", "W is a parameter group, not a value", "name one of its gates, for example W.i @ ..."),
    ("z + b", "b is a parameter group, not a value", "name one of its gates, for example b.i"),
    (
        "x @ W.i + z",
        "the left of @ is `x`, expected a matrix of a parameter group",
        "write the matrix first: W.gate @ x",
    ),
    (
        "z * R.i @ h_prev",
        "the left of @ is `z * R.i`, expected a matrix of a parameter group",
        "@ binds no tighter than the sign before it; use brackets: z * (R.i @ h_prev)",
    ),
    (
        "z + -R.i @ h_prev",
        "the left of @ is `-R.i`, expected a matrix of a parameter group",
        "the sign before R.i binds tighter than @; use brackets: -(R.i @ h_prev)",
    ),
    (
        "W['i'] @ x + z",
        "the left of @ is `W['i']`, expected a matrix of a parameter group",
        "write the matrix first: W.gate @ x",
    ),
    ("W.i.j @ x", "`W.i.j`: W.i is not a parameter group; the groups are W, R, b", "write one dot: group.gate"),
    (
        "V.i @ h_prev",
        "`V.i`: V is not a parameter group; the groups are W, R, b",
        "add V to the signature after the states",
    ),
    (
        "p.i * h_prev",
        "`p.i`: p is not a parameter group; the groups are W, R, b",
        "add p to the signature after the states",
    ),
    ("W._i @ x", "the gate W._i begins with an underscore", "give the gate a plain name"),
    ("z + b.__class__", "the gate b.__class__ begins with an underscore", "give the gate a plain name"),
    ("W.i @ (2 * x)", "W.i multiplies `2 * x`", "a matrix multiplies x itself: W.gate @ x"),
    (
        "R.i @ 2 + z",
        "R.i multiplies `2`, which depends neither on x nor on a state",
        "multiply x, a previous state or a quantity of this step; a constant needs no matrix",
    ),
    (
        "R.i @ tanh(b.i) + z",
        "R.i multiplies `tanh(b.i)`, which depends neither on x nor on a state",
        "multiply x, a previous state or a quantity of this step; a constant needs no matrix",
    ),
    # sizes
    (
        "x * h_prev + z",
        "these shapes can not be combined: `x` has input_size values and `h_prev` has hidden_size values",
        _BRING_X,
    ),
    (
        "x + W.i @ x",
        "these shapes can not be combined: `x` has input_size values and `W.i @ x` has hidden_size values",
        _BRING_X,
    ),
    ("2 * x", "h would have input_size values, expected hidden_size", _BRING_X),
    (
        "z + mean(x)",
        "mean runs over the hidden units; `x` has input_size values",
        "take a quantity of this step or a state",
    ),
    ("z + mean(2)", "mean runs over the hidden units; `2` has one value", "take a quantity of this step or a state"),
    # functions
    ("torch.tanh(z + h_prev)", "`torch.tanh` is not carrousel's", _IMPORT.format("tanh")),
    ("math.exp(z + h_prev)", "`math.exp` is not carrousel's", _IMPORT.format("exp")),
    ("np.sqrt(z + h_prev)", "`np.sqrt` is not carrousel's", _IMPORT.format("sqrt")),
    ("(z + h_prev).sigmoid()", "`(z + h_prev).sigmoid` is not carrousel's", _IMPORT.format("sigmoid")),
    ("minimum(z, h_prev)", "`minimum` is not carrousel's", _IMPORT.format("minimum")),
    ("relu(z + h_prev)", "`relu` is not imported by its own name", _IMPORT.format("relu")),
    ("functions.tanh(z)", "`functions.tanh` is not imported by its own name", _IMPORT.format("tanh")),
    ("gelu(z)", f"`gelu` is not a function of the notation; these are {_FUNCTIONS}", "Did you mean relu?"),
    ("max(z, h_prev)", f"`max` is not a function of the notation; these are {_FUNCTIONS}", "Did you mean maximum?"),
    (
        "linear(z)",
        f"`linear` is not a function of the notation; these are {_FUNCTIONS}",
        "write it with these and + - * / **",
    ),
    (
        "(lambda a: a)(z)",
        f"`lambda a: a` is not a function of the notation; these are {_FUNCTIONS}",
        "write it with these and + - * / **",
    ),
    ("W(x) + z", "`W` is a parameter, not a function", "use @ for a matrix: W.gate @ x"),
    ("W.i(x) + z", "`W.i` is a parameter, not a function", "use @ for a matrix: W.i @ x"),
    ("z(h_prev)", "`z` is a quantity, not a function", "write * for a product"),
    (
        "tanh(z, h_prev)",
        "tanh takes 1 plain argument, got `tanh(z, h_prev)`",
        "give its arguments in order, without keywords",
    ),
    (
        "maximum(z)",
        "maximum takes 2 plain arguments, got `maximum(z)`",
        "give its arguments in order, without keywords",
    ),
    ("tanh(a=z)", "tanh takes 1 plain argument, got `tanh(a=z)`", "give its arguments in order, without keywords"),
    (
        "clip(z, -b.i, b.i)",
        "the bounds of clip are not numbers",
        "use maximum and minimum for bounds that are quantities",
    ),
    # numbers
    ("flag * z", "the constant flag is of type bool, expected a number", _NUMBERS),
    ("several * z", "the constant several is of type list, expected a number", _NUMBERS),
    ("tensor * z", "the constant tensor is of type Tensor, expected a number", _NUMBERS),
    ("math * z", "the constant math is of type module, expected a number", _NUMBERS),
    ("missing * z", "the constant missing is not a number (nan)", "constants are int or float, and not nan"),
    ("huge * z", "the whole number huge is beyond 2**53, too large to be exact", "write it as a float: 1e30"),
    ("True * z", "the constant True is of type bool, expected a number", _NUMBERS),
    ("'half' * z", "the constant 'half' is of type str, expected a number", _NUMBERS),
    ("1j * z", "the constant 1j is of type complex, expected a number", _NUMBERS),
    (
        "math.pi * z",
        "`math.pi` has a dot, which marks a parameter group",
        "take it by its own name: from math import pi",
    ),
    (
        "(0 - 2) ** 0.5 * z",
        "`(0 - 2) ** 0.5` is not a number, or too large a one",
        "change its constants; it is the same at every step",
    ),
    (
        "10 ** 10 ** 10 * z",
        "`10 ** 10 ** 10` is not a number, or too large a one",
        "change its constants; it is the same at every step",
    ),
    (
        "3 ** 3 ** 4 * z",
        "`3 ** 3 ** 4` is not a number, or too large a one",
        "change its constants; it is the same at every step",
    ),
    (
        "log(-1) * z",
        "`log(-1)` is not a number, or too large a one",
        "change its constants; it is the same at every step",
    ),
    ("z / 0", "`z / 0` divides by zero", "divide by another number"),
    ("z ** h_prev", "the exponent `h_prev` is not a plain number", _EXPONENT),
    ("z ** one", "the exponent `one` is not a plain number", _EXPONENT),
    ("z ** inf", "`inf` is infinite, and arithmetic with it has no derivative", _INFINITE),
    ("-inf + z", "`-inf` is infinite, and arithmetic with it has no derivative", _INFINITE),
    # syntax that the notation does not have
    ("z if z > 0 else h_prev", f"`z if z > 0 else h_prev` {_CONDITION}", _CHOICE),
    ("z * (h_prev > 0)", f"`h_prev > 0` {_CONDITION}", _CHOICE),
    ("z and h_prev", f"`z and h_prev` {_CONDITION}", _CHOICE),
    ("not z", f"`not z` {_CONDITION}", _CHOICE),
    ("z % 2", "`z % 2` is not part of the notation", _NOTATION),
    ("z // 2", "`z // 2` is not part of the notation", _NOTATION),
    ("~z", "`~z` is not part of the notation", _NOTATION),
    ("z[0]", "`z[0]` is not part of the notation", _NOTATION),
    ("[z for k in several]", "`[z for k in several]` is not part of the notation", _NOTATION),
    ("(q := z)", "`(q := z)` is not part of the notation", _NOTATION),
    ("f'{z}'", "`f'{z}'` is not part of the notation", _NOTATION),
    ("tanh(*several)", "`*several` is not part of the notation", _NOTATION),
    ("(yield)", "`(yield)` is not part of the notation", _NOTATION),
]


@pytest.mark.parametrize(("right", "what", "todo"), MISTAKES, ids=[mistake[0] for mistake in MISTAKES])
def test_message(right: str, what: str, todo: str, tmp_path: Path) -> None:
    text = f"""
@cell
def mine(x, h_prev, W, R, b):
    z = tanh(W.z @ x + R.z @ h_prev + b.z)
    {"one = 1" if "one" in right else ""}
    h = {right}  # <-
    {"late = 2 * h" if "late" in right else ""}
    return h
"""
    line, message = message_of(text, tmp_path)
    assert pinned(message, line) == f"mine (line <line>):  h = {right}\n  {what}\n  {todo}"


def test_shapes_around_a_projection(tmp_path: Path) -> None:
    text = """
@cell
def mine(x, h_prev, W, R, b, P):
    m = tanh(W.m @ x + b.m) * h_prev  # <-
    h = P.h @ m
    return h
"""
    line, message = message_of(text, tmp_path)
    assert message == (
        f"mine (line {line}):  m = tanh(W.m @ x + b.m) * h_prev\n"
        "  these shapes can not be combined: `tanh(W.m @ x + b.m)` has hidden_size values and `h_prev` has proj_size"
        " values\n"
        "  bring the projected output h back to the hidden size with a matrix: R.gate @ ..."
    )


def test_group_of_two_widths(tmp_path: Path) -> None:
    text = """
@cell
def mine(x, h_prev, R, S):
    h = tanh(S.i @ x + R.i @ h_prev + S.j @ h_prev)  # <-
    return h
"""
    line, message = message_of(text, tmp_path)
    assert message == (
        f"mine (line {line}):  h = tanh(S.i @ x + R.i @ h_prev + S.j @ h_prev)\n"
        "  group S multiplies both input_size and hidden_size values; its matrices have one width\n"
        "  use a group of its own for `h_prev`"
    )


def test_denominator_that_cancels() -> None:
    text = "def mine(x, h_prev, W):\n    h = W.h @ x + 1 / (h_prev - h_prev)\n    return h\n"
    with pytest.raises(DefinitionError) as caught:
        str(Cell(parse(text, TABLE, "mine")).adjoint)
    assert str(caught.value) == (
        "mine:  h = W.h @ x + 1 / (h_prev - h_prev)\n"
        "  this line divides by what is always zero\n"
        "  take the terms that cancel out of the denominator"
    )


def test_equation_over_several_lines(tmp_path: Path) -> None:
    text = """
@cell
def mine(x, h_prev, W, R, b):
    h = tanh(  # <-
        W.h @ x
        + R.h @ h_prv
    )
    return h
"""
    line, message = message_of(text, tmp_path)
    assert message.splitlines()[0] == f"mine (line {line}):  h = tanh(W.h @ x + R.h @ h_prv)"


# ---------------------------------------------------------------------- a definition never crashes

_ATOMS = (
    "x",
    "h_prev",
    "z",
    "h",
    "W",
    "W.z",
    "R.h",
    "b",
    "b.z",
    "k",
    "inf",
    "2",
    "0",
    "-1",
    "0.5",
    "'s'",
    "None",
    "tanh",
)
_FORMS = (
    *("({0} + {1})", "({0} - {1})", "({0} * {1})", "({0} / {1})", "({0}) ** ({1})", "({0}) @ ({1})", "W.i @ {0}"),
    *("R.i @ ({0})", "tanh({0})", "log({0})", "sqrt({0})", "maximum({0}, {1})", "clip({0}, {1}, 2)", "mean({0})"),
    *("stop_gradient({0})", "-({0})", "({0} < {1})", "({0})[{1}]", "({0}).i", "({0}, {1})", "({0})({1})"),
    *("(lambda q: {0})", "({0} if {1} else 1)", "f'{{{0}}}'", "tanh(*{0})", "tanh(a={0})", "[{0}]", "({0}) % ({1})"),
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(lambda form, a, b: form.format(a, b), st.sampled_from(_FORMS), inner, inner)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.recursive(st.sampled_from(_ATOMS), _grown, max_leaves=4))
def test_any_expression_is_right_or_a_definition_error(right: str) -> None:
    """And what is right can be derived and compiled."""
    text = f"def mine(x, h_prev, W, R, b):\n    z = W.z @ x + R.h @ h_prev + b.z\n    h = z + {right}\n    return h\n"
    surroundings = {**TABLE, "k": 3, "inf": float("inf")}
    with contextlib.suppress(DefinitionError):
        assert callable(Cell(parse(text, surroundings, "mine")).step("eager", "backward"))
