"""Legal definitions, drawn at random; their values stay small and smooth enough to be compared."""

from hypothesis import strategies as st

from bptt import cell_of
from carrousel.cell import Cell

_UNARY = (
    "sigmoid({a})",
    "tanh({a})",
    "relu({a})",
    "exp(tanh({a}))",
    "log(1 + ({a})**2)",
    "sqrt(1 + ({a})**2)",
    "softplus({a})",
    "log_sigmoid({a})",
    "step({a})",
    "mean({a})",
    "stop_gradient({a})",
    "clip({a}, -half, 0.5)",
    "clip({a}, 1 - 3, inf)",
    "(-({a}))",
    "({a})**2",
    "(1 + ({a})**2)**1.5",
    "(1 + sigmoid({a}))**(-1 / 2)",
    "1 / (2 + tanh({a}))",
    "(2 * {k} - ({a}) * 1 / 3)",
)
_BINARY = (
    "({a} + {b})",
    "({a} - {b})",
    "({a}) * ({b})",
    "({a}) / (2 + sigmoid({b}))",
    "maximum({a}, {b})",
    "minimum({a}, {k})",
    "(sigmoid({a}) * exp(tanh({b})))**half",
    "(1 - sigmoid({a})) * ({b})",
)


@st.composite
def _expressions(draw: st.DrawFn, atoms: list[str], depth: int) -> str:
    if depth == 0:
        return draw(st.sampled_from(atoms))
    a = draw(_expressions(atoms, depth - 1))
    if draw(st.booleans()):
        form, b = draw(st.sampled_from(_UNARY)), ""
    else:
        form, b = draw(st.sampled_from(_BINARY)), draw(_expressions(atoms, depth - 1))
    return form.format(a=a, b=b, k=draw(st.sampled_from(("half", "2", "-0.25", "3"))))


@st.composite
def legal_cells(draw: st.DrawFn) -> Cell:
    """Draw a cell: states, step inputs, quantities that read each other, products of several stages."""
    states = ["h", "c", "n"][: draw(st.integers(1, 3))]
    step_inputs = ["m_t"][: draw(st.integers(0, 1))]
    known = [f"{s}_prev" for s in states] + step_inputs
    lines = ["q0 = sigmoid(W.q0 @ x + R.q0 @ h_prev)"]
    known.append("q0")
    names = [f"q{k}" for k in range(1, draw(st.integers(2, 4)))]
    for name in [*names, *reversed(states)]:
        operand = draw(st.sampled_from(known))
        inner = draw(_expressions(known, 1))
        gate = draw(st.sampled_from(("i", name)))
        products = [f"W.{gate} @ x", f"R.{name} @ {operand}", f"S.{gate} @ tanh({inner})", f"R.i @ {operand}"]
        products = [
            product if product[0] != "S" or "mean" not in inner else f"R.{name} @ h_prev" for product in products
        ]
        wrapped = [f"({product})" for product in products]
        atoms = [*known, *known, *wrapped, f"b.{name}", "p.i", f"p.{gate}"]
        value = draw(_expressions(atoms, draw(st.integers(1, 2))))
        lines.append(
            f"{name} = 0.5 * {name}_prev + 0.5 * tanh({value})" if name in states else f"{name} = tanh(q0 - {value})"
        )
        known.append(name)
    text = "\n    ".join([*lines, f"return {', '.join(states)}"])
    groups = [g for g in ("W", "R", "S", "p", "b") if f"{g}." in text]
    arguments = ["x", *(f"{s}_prev" for s in states), *(m for m in step_inputs if m in text), *groups]
    return cell_of(f"def drawn({', '.join(arguments)}):\n    {text}\n", half=0.5, inf=float("inf"))
