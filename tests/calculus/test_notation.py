"""What follows from a definition's text: states, groups, gates, sizes, constants, and the normal form."""

import pickle
from pathlib import Path

import pytest

from bptt import cell_of
from carrousel import cells
from carrousel.calculus.notation import HIDDEN, INPUT, OUTPUT, Definition, parse
from carrousel.functions import TABLE, relu, tanh
from carrousel.transforms import projected, zoneout

#: cell -> its states; then each group, what its matrices multiply, and its gates in order of first use.
DERIVED = {
    "elman": "h; W x: h; R h_prev: h; b: h; bR: h",
    "elman_relu": "h; W x: h; R h_prev: h; b: h; bR: h",
    "irnn": "h; W x: h; R h_prev: h; b: h",
    "lstm_1997": "h c; W x: i o z; R h_prev: i o z; b: i o z",
    "lstm_1997_truncated": "h c; W x: i o z; R stop_gradient(h_prev): i o z; b: i o z",
    "lstm_1997_full": "h c i o; W x: i o z; R h_prev: i o z; S i_prev: i o z; U o_prev: i o z; b: i o z",
    "lstm_1997_full_truncated": "h c i o; W x: i o z; R stop_gradient(h_prev): i o z; S stop_gradient(i_prev): i o z; "
    "U stop_gradient(o_prev): i o z; b: i o z",
    "lstm_1997_input_gate": "c; W x: i z",
    "lstm": "h c; W x: i f z o; R h_prev: i f z o; b: i f z o; bR: i f z o",
    "peephole_lstm": "h c; W x: i f z o; R h_prev: i f z o; p: i f o; b: i f z o",
    "peephole_lstm_2002": "h c; W x: i f z o; R h_prev: i f z o; p: i f o; b: i f z o",
    "coupled_lstm": "h c; W x: i o z; R h_prev: i o z; b: i o z",
    "nig": "h c; W x: f z o; R h_prev: f z o; p: f o; b: f z o",
    "nfg": "h c; W x: i z o; R h_prev: i z o; p: i o; b: i z o",
    "nog": "h c; W x: i f z; R h_prev: i f z; p: i f; b: i f z",
    "niaf": "h c; W x: i f z o; R h_prev: i f z o; p: i f o; b: i f z o",
    "noaf": "h c; W x: i f z o; R h_prev: i f z o; p: i f o; b: i f z o",
    "np": "h c; W x: i f z o; R h_prev: i f z o; b: i f z o; bR: i f z o",
    "cifg": "h c; W x: i z o; R h_prev: i z o; p: i o; b: i z o",
    "fgr": "h c i f o; W x: i f z o; R h_prev: i f z o; Ri i_prev: i f o; Rf f_prev: i f o; Ro o_prev: i f o; "
    "p: i f o; b: i f z o",
    "layer_norm_lstm": "h c; W x: i f z o; R h_prev: i f z o; gW: i f z o; gR: i f z o; g: c; b: i f z o c",
    "layer_norm_lstm_per_gate": "h c; W x: i f z o; R h_prev: i f z o; g: i f z o c; b: i f z o c",
    "gru": "h; W x: r z n; R h_prev: r z n; b: r z n; bR: r z n",
    "gru_2014": "h; W x: r z n; R h_prev, r * h_prev: r z n; b: r z n",
    "slstm": "h c n m; W x: i f z o; R h_prev: i f z o; b: i f z o",
}


def described(definition: Definition) -> str:
    """A definition's states and groups as one line of `DERIVED`."""
    parts = [" ".join(definition.states)]
    for group in definition.groups:
        parts.append(f"{group.name} {', '.join(group.operands)}".strip() + f": {' '.join(group.gates)}")
    return "; ".join(parts)


def normal_form_of(equation: str, before: str) -> str:
    """The normal form of one equation of a small cell, without the lines that stand before it."""
    text = (
        f"def small(x, h_prev, r_prev, W, R, b):\n    {before}\n    r = r_prev\n    h = {equation}\n    return h, r\n"
    )
    shown = [str(e) for e in cell_of(text, half=0.5).equations]
    return "\n".join(shown[shown.index("r = r_prev") + 1 :])


def test_every_cell_is_described() -> None:
    assert set(DERIVED) == set(cells.names())


@pytest.mark.parametrize("name", DERIVED)
def test_derived(name: str) -> None:
    definition = cells.get(name).definition
    assert described(definition) == DERIVED[name]
    assert definition.arguments == (
        "x",
        *(f"{s}_prev" for s in definition.states),
        *(g.name for g in definition.groups),
    )
    assert definition.size == dict.fromkeys(definition.states, HIDDEN)
    for group in definition.groups:
        assert group.rows == HIDDEN
        assert group.columns == {"W": INPUT}.get(group.name, HIDDEN if group.is_matrix else None)
        assert group.is_matrix == group.name[0].isupper()
        assert definition.group(group.name) is group


def test_constants_and_functions() -> None:
    assert cells.get("lstm_1997").definition.constants == {"g_range": 2, "h_range": 1, "sigmoid": TABLE["sigmoid"]}
    assert cells.get("elman").definition.constants == {"activation": tanh}
    assert cells.get("elman_relu").definition.constants == {"activation": relu}


def test_numpy_constants_become_plain_numbers() -> None:
    import numpy as np

    text = "def small(x, h_prev, W):\n    h = k * (W.h @ x) + n\n    return h\n"
    constants = parse(text, {"k": np.float64(0.5), "n": 3}, "small").constants
    assert constants == {"k": 0.5, "n": 3}
    assert [type(value) for value in constants.values()] == [float, int]


def test_step_inputs_stand_between_states_and_groups() -> None:
    definition = zoneout(cells.get("lstm")).definition
    assert definition.step_inputs == ("keep_h_t", "keep_c_t")
    assert definition.arguments[:5] == ("x", "h_prev", "c_prev", "keep_h_t", "keep_c_t")


def test_equal_is_what_has_the_same_text_and_constants() -> None:
    text = "def small(x, h_prev, W):\n    h = k * h_prev + W.h @ x\n    return h\n"
    one, other, third = (parse(text, {"k": k}, "small") for k in (2, 2, 3))
    assert one == other
    assert hash(one) == hash(other)
    assert one != third
    assert one != text


def test_sizes_of_a_projection() -> None:
    definition = projected(cells.get("lstm")).definition
    assert definition.projected
    assert definition.size == {"h": OUTPUT, "c": HIDDEN}
    sizes = {g.name: (g.rows, g.columns) for g in definition.groups}
    assert sizes == {
        "W": (HIDDEN, INPUT),
        "R": (HIDDEN, OUTPUT),
        "b": (HIDDEN, None),
        "bR": (HIDDEN, None),
        "Proj": (OUTPUT, HIDDEN),
    }


@pytest.mark.parametrize("operand", ["c_prev", "stop_gradient(c_prev)", "h_prev", "(c * h_prev)", "(c_prev + h_prev)"])
def test_product_with_a_previous_state_is_no_projection(operand: str) -> None:
    text = f"def small(x, h_prev, c_prev, W, R):\n    c = W.c @ x\n    h = R.h @ {operand}\n    return h, c\n"
    definition = cell_of(text).definition
    assert not definition.projected
    assert definition.size == {"h": HIDDEN, "c": HIDDEN}


# ---------------------------------------------------------------------- the normal form


@pytest.mark.parametrize(
    ("equation", "expected"),
    [
        ("W.h @ x + b.h", "h = W.h @ x + b.h"),
        ("tanh(W.h @ x + b.h)", "a_h = W.h @ x + b.h\nh = tanh(a_h)"),
        ("tanh(b.h) * (R.h @ h_prev)", "h = tanh(b.h) * (R.h @ h_prev)"),
        ("R.h @ (r * h_prev) + b.h", "u_h = r * h_prev\nh = R.h @ u_h + b.h"),
        ("tanh(R.h @ (r * h_prev))", "u_h = r * h_prev\na_h = R.h @ u_h\nh = tanh(a_h)"),
        (
            "tanh(R.h @ tanh(r)) + tanh(R.g @ exp(r))",
            "u_h = tanh(r)\na_h = R.h @ u_h\nu_h2 = exp(r)\na_h2 = R.g @ u_h2\nh = tanh(a_h) + tanh(a_h2)",
        ),
        ("R.h @ stop_gradient(h_prev)", "h = R.h @ stop_gradient(h_prev)"),
        ("R.h @ stop_gradient(2 * h_prev)", "u_h = stop_gradient(2 * h_prev)\nh = R.h @ u_h"),
        ("r - mean(r)", "h = r - mean(r)"),
        ("mean(r * r)", "u_h = r * r\nh = mean(u_h)"),
        ("mean(R.h @ h_prev)", "u_h = R.h @ h_prev\nh = mean(u_h)"),
        ("(r * h_prev)**2", "h = (r * h_prev) ** 2"),
        ("(r * h_prev)**1.5", "u_h = r * h_prev\nh = u_h ** 1.5"),
        ("(half + 1)**0.5 * r**0.5", "h = (half + 1) ** 0.5 * r ** 0.5"),
    ],
)
def test_normal_form(equation: str, expected: str) -> None:
    used = "unused = W.u @ x + R.u @ h_prev + b.u"
    assert normal_form_of(equation, used) == expected


def test_normal_form_keeps_clear_of_taken_names() -> None:
    """`a_h` is the definition's own; and `a_h2` would have the adjoint `da_h2`, which is its own too."""
    own = "a_h = r_prev\n    da_h2 = W.u @ x + R.u @ h_prev + b.u"
    assert normal_form_of("tanh(W.h @ x) + a_h * da_h2", own) == "a_h3 = W.h @ x\nh = tanh(a_h3) + a_h * da_h2"


def test_normal_form_calls_functions_by_their_own_name() -> None:
    assert [str(e) for e in cells.get("elman").equations][1] == "h = tanh(a_h)"


# ---------------------------------------------------------------------- text and identity


def test_definition_with_a_docstring_that_is_less_indented(tmp_path: Path) -> None:
    from mistakes import import_text

    text = '''
def make():
    @cell
    def mine(x, h_prev, W):
        """First line.
out of line
        """
        h = tanh(W.h @ x)
        return h
    assert mine.doc.startswith("First line.")
    assert mine.definition.text.startswith("def mine")


make()
'''
    import_text(text, tmp_path)


def test_identity_changes_with_everything_that_the_equations_depend_on() -> None:
    text = "def small(x, h_prev, W):\n    h = k * tanh(W.h @ x)\n    return h\n"
    variants = [
        parse(text, {**TABLE, "k": 2}, "small"),
        parse(text, {**TABLE, "k": 2.0}, "small"),
        parse(text, {**TABLE, "k": 3}, "small"),
        parse(text, {**TABLE, "k": 2, "tanh": TABLE["sigmoid"]}, "small"),
        parse(text.replace("k *", "k +"), {**TABLE, "k": 2}, "small"),
    ]
    assert len({v.identity for v in variants}) == len(variants)
    assert parse(text, {**TABLE, "k": 2, "unused": 3}, "small").identity == variants[0].identity


def test_pickled_definition_is_the_same() -> None:
    for name in cells.names():
        definition = cells.get(name).definition
        again = pickle.loads(pickle.dumps(definition))
        assert again.identity == definition.identity
        assert again.groups == definition.groups
        assert again.text == definition.text
