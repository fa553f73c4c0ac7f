"""Cells that tests run over besides the registry: transformed, one for each rule, and drawn at random."""

from hypothesis import strategies as st

from bptt import cell_of
from carrousel import cells
from carrousel.cell import Cell
from carrousel.transforms import (
    clip_cell,
    clip_gates,
    clip_projection,
    detached,
    projected,
    recurrent_dropout,
    truncated,
    zoneout,
)

#: One transform, or two.
TRANSFORMED = {
    "gru truncated": lambda: truncated(cells.get("gru")),
    "gru_2014 truncated": lambda: truncated(cells.get("gru_2014")),
    "fgr truncated": lambda: truncated(cells.get("fgr")),
    "fgr detached": lambda: detached(cells.get("fgr"), "p"),
    "lstm zoneout": lambda: zoneout(cells.get("lstm")),
    "gru_2014 zoneout": lambda: zoneout(cells.get("gru_2014"), "h"),
    "slstm zoneout": lambda: zoneout(cells.get("slstm"), "h", "c", "n"),
    "lstm clip_cell": lambda: clip_cell(cells.get("lstm"), 0.7),
    "lstm clip_gates": lambda: clip_gates(cells.get("lstm"), 0.9),
    "gru clip_gates": lambda: clip_gates(cells.get("gru"), 0.9),
    "lstm projected": lambda: projected(cells.get("lstm")),
    "peephole_lstm projected": lambda: projected(cells.get("peephole_lstm")),
    "slstm projected": lambda: projected(cells.get("slstm")),
    "lstm recurrent_dropout": lambda: recurrent_dropout(cells.get("lstm")),
    "gru_2014 recurrent_dropout": lambda: recurrent_dropout(cells.get("gru_2014")),
    "layer_norm_lstm recurrent_dropout": lambda: recurrent_dropout(cells.get("layer_norm_lstm")),
    "lstm zoneout in evaluation": lambda: zoneout(cells.get("lstm"), rate=0.2),
    "lstm projected, clip_projection": lambda: clip_projection(projected(cells.get("lstm")), 0.2),
    "lstm projected, truncated": lambda: truncated(projected(cells.get("lstm"))),
    "peephole_lstm clipped, zoned out, projected": lambda: projected(
        zoneout(clip_cell(cells.get("peephole_lstm"), 0.5), "c")
    ),
}

#: A rule of the calculus -> a cell that fails without it: its arguments, its lines.
RULES = {
    "layer normalisation": (
        "x, h_prev, W, R, b, g",
        """
        a = W.a @ x + R.a @ h_prev
        e = a - mean(a)
        s = sqrt(mean(e * e) + 0.001)
        h = tanh(g.a * e / s + b.a)
        """,
    ),
    "operands of two sizes side by side": (
        "x, h_prev, c_prev, W, U, P",
        """
        q = tanh(W.q @ x)
        c = 0.5 * c_prev + U.c @ q
        h = P.h @ q
        """,
    ),
    "numbers of the row: behind a product, as a state, as an operand": (
        "x, h_prev, c_prev, W, R, S",
        """
        q = tanh(W.q @ x + R.q @ h_prev)
        m = 2 * mean(h_prev)
        c = 0.5 * mean(c_prev) + m
        h = (1 - sigmoid(mean(c_prev))) * tanh(S.c @ q + R.a @ m + R.a @ c) / (1 + c * c)
        """,
    ),
    "mean of a product, and of what is used again": (
        "x, h_prev, W, R",
        """
        h = tanh(W.a @ x - mean(W.a @ x) + mean(h_prev) * mean(h_prev) + R.a @ h_prev)
        """,
    ),
    "two stages": (
        "x, h_prev, c_prev, W, R, P, b",
        """
        r = sigmoid(W.r @ x + R.r @ h_prev + b.r)
        c = 0.5 * c_prev + tanh(P.c @ (r * h_prev) + b.c)
        q = tanh(P.q @ c)
        h = q + r * (P.h @ q)
        """,
    ),
    "a step input in a product and elementwise": (
        "x, h_prev, m_t, W, R, D",
        """
        h = m_t * tanh(W.h @ x + D.h @ m_t + R.h @ h_prev) + (1 - m_t) * h_prev
        """,
    ),
    "a product in two equations": (
        "x, h_prev, W, R, b",
        """
        r = sigmoid(W.a @ x + R.a @ h_prev)
        z = tanh(r * (R.a @ h_prev) + b.z)
        h = z * (W.a @ x) * (R.a @ h_prev) + r
        """,
    ),
    "a product twice in an equation": (
        "x, h_prev, W, R",
        """
        h = tanh((W.a @ x) * (R.a @ h_prev) + (R.a @ h_prev) ** 2)
        """,
    ),
    "one matrix and two states": (
        "x, h_prev, c_prev, n_prev, W, R",
        """
        c = tanh(R.a @ c_prev + R.b @ h_prev) + n_prev
        n = tanh(R.a @ h_prev + R.b @ c + W.a @ x)
        h = tanh(R.a @ n_prev) * c
        """,
    ),
    "two products of a group in a line": (
        "x, h_prev, W, R, b",
        """
        r = sigmoid(W.r @ x + b.r)
        h = tanh(r * (R.n @ h_prev) + (1 - r) * (R.m @ h_prev))
        """,
    ),
    "a quantity with the name of a product's adjoint": (
        "x, h_prev, W, R",
        """
        n_R = sigmoid(W.r @ x)
        n = n_R * (R.n @ h_prev) + n_R**2
        h = tanh(n)
        """,
    ),
    "a quantity with the name of a kept product or mean": (
        "x, h_prev, W, R",
        """
        R_n_h_prev2 = sigmoid(W.r @ x)
        mean_z = 2 * mean(R_n_h_prev2)
        z = tanh(R.n @ h_prev) * mean_z
        mean_z2 = mean(z) * mean(z)
        h = mean_z2 + (R.n @ h_prev) * mean(R_n_h_prev2) * R_n_h_prev2
        """,
    ),
    "pre-activations that the definition names itself": (
        "x, h_prev, W, R",
        """
        a_h = W.h @ x
        da_h2 = R.h @ h_prev
        h = tanh(R.h @ h_prev + a_h) * a_h * da_h2
        """,
    ),
    "nested functions": (
        "x, h_prev, W, R, b",
        """
        z = sigmoid(tanh(W.z @ x) * exp(-sigmoid(R.z @ h_prev)))
        h = tanh(maximum(z, tanh(b.h)) - minimum(z, softplus(h_prev)) + log(1 + exp(z)) * log_sigmoid(z - h_prev))
        """,
    ),
    "powers and fractions": (
        "x, h_prev, W, R",
        """
        z = sigmoid(W.z @ x + R.z @ h_prev)
        q = (z * (1 + h_prev**2)) ** 1.5 / (1 + z) ** 2 - 1 / 3 * z ** (-2) + z ** (1 / 2)
        h = tanh(-q / 3 / (2 + z) - (-z) ** 3 * 2 / 7)
        """,
    ),
    "numbers that are named": (
        "x, h_prev, W, R",
        """
        k = 3
        j = k / 2 - 1
        h = tanh(j * (W.h @ x) + clip(R.h @ h_prev, -k, k) - k * h_prev / 7)
        """,
    ),
    "states that are aliases": (
        "x, h_prev, c_prev, n_prev, W, R",
        """
        z = tanh(W.z @ x + R.z @ h_prev + R.n @ n_prev)
        c = c_prev + z
        n = h_prev
        h = c
        """,
    ),
    "a state that its own next value does not read": (
        "x, h_prev, c_prev, W, R",
        """
        c = tanh(W.c @ x)
        h = c * tanh(R.h @ c_prev)
        """,
    ),
    "an adjoint that looks like a rebound one": (
        "x, h_prev, c_prev, W, R",
        """
        u = tanh(W.u @ x + R.u @ h_prev + c_prev)
        r = sigmoid(W.r @ x)
        c = u
        h = r * c + r * u
        """,
    ),
    "lines that nothing reads": (
        "x, h_prev, W, R, b",
        """
        seen = exp(W.s @ x) + b.s
        more = R.s @ seen
        h = tanh(W.h @ x + R.h @ h_prev)
        """,
    ),
    "a parameter that is transformed": (
        "x, h_prev, W, R, t",
        """
        keep = sigmoid(t.a)
        h = keep * h_prev + (1 - keep) * tanh(W.h @ x + R.h @ (keep * h_prev)) + mean(keep)
        """,
    ),
    "gradients that stop": (
        "x, h_prev, c_prev, W, R",
        """
        z = tanh(W.z @ x + R.z @ stop_gradient(h_prev) + stop_gradient(R.z @ h_prev))
        c = stop_gradient(z) * c_prev + z * stop_gradient(c_prev + z)
        h = tanh(c + R.h @ stop_gradient(z * c)) + stop_gradient(mean(c))
        """,
    ),
    "corners": (
        "x, h_prev, c_prev, W, R",
        """
        z = W.z @ x + R.z @ h_prev
        c = clip(relu(z), 0, 0.5) + step(z - 0.1) * c_prev / 2
        h = tanh(maximum(c, c) + minimum(relu(c_prev), relu(-c_prev)) + maximum(z - z, 0))
        """,
    ),
    "an infinite bound": (
        "x, h_prev, W, R",
        """
        z = maximum(W.z @ x + R.z @ h_prev, -inf)
        h = tanh(clip(z, -inf, inf) + minimum(z, inf) + clip(h_prev, 0.1, inf))
        """,
    ),
    "terms that cancel": (
        "x, h_prev, W, R",
        """
        h = tanh(W.h @ x + R.h @ tanh(h_prev - h_prev)) + 0 * h_prev + h_prev / h_prev
        """,
    ),
    "layer normalisation of every gate": (
        "x, h_prev, c_prev, W, R, b, g",
        """
        u = W.i @ x + R.i @ h_prev
        v = W.z @ x + R.z @ h_prev
        i = sigmoid(g.i * (u - mean(u)) / sqrt(mean(u * u) - mean(u) ** 2 + 0.1) + b.i)
        z = tanh(g.z * (v - mean(v)) / sqrt(mean(v * v) - mean(v) ** 2 + 0.1) + b.z)
        c = (1 - i) * c_prev + i * z
        h = tanh(g.c * (c - mean(c)) + b.c)
        """,
    ),
    "an output that is the input projection": (
        "x, h_prev, W, b",
        """
        h = W.h @ x + b.h
        """,
    ),
    "a quantity of x alone that the backward reads": (
        "x, h_prev, W, R",
        """
        z = W.z @ x
        h = z * (R.h @ z) + h_prev / 2
        """,
    ),
    "states that change places": (
        "x, h_prev, c_prev, W",
        """
        h = c_prev
        c = h_prev + W.c @ x
        """,
    ),
    "adjoints that arrive and are a vector's, a mean's and a product's": (
        "x, h_prev, c_prev, W, R, b",
        """
        h = tanh(W.h @ x) + b.h + R.h @ c_prev
        c = sigmoid(b.c) + mean(tanh(b.h)) + mean(c_prev)
        """,
    ),
    "an adjoint that is read behind its next value": (
        "x, h_prev, c_prev, n_prev, W, R",
        """
        q = sigmoid(W.q @ x + R.q @ h_prev)
        n = q
        c = c_prev / 2 + tanh(R.c @ q)
        h = h_prev / 2 + tanh(h_prev * c)
        """,
    ),
    "means of states and of means": (
        "x, h_prev, c_prev, W",
        """
        h = mean(h_prev) + mean(c_prev) + mean(mean(W.h @ x))
        c = mean(h) * c_prev
        """,
    ),
    "products with signs and factors": (
        "x, h_prev, c_prev, W, R, b",
        """
        c = 0.5 * c_prev - tanh(W.c @ x - b.h)
        h = -(R.h @ h_prev) + R.c @ c - 2 * (R.c @ c_prev) - b.h
        """,
    ),
    "a step input that is all that is multiplied": (
        "x, h_prev, m_t, W, D",
        """
        h = D.h @ m_t - W.h @ x
        """,
    ),
    "a vector in many places": (
        "x, h_prev, c_prev, W, R, b, p",
        """
        c = tanh(W.c @ x + R.c @ h_prev + b.c + p.c * c_prev) + b.c * p.h
        h = c * p.h + p.h * p.c + p.c * b.c * mean(b.c)
        """,
    ),
    "a projection of a state": (
        "x, h_prev, c_prev, W, R, P",
        """
        c = c_prev / 2 + tanh(W.c @ x + R.c @ h_prev)
        h = P.h @ c
        """,
    ),
    "a projection of the input projection": (
        "x, h_prev, W, P",
        """
        m = W.m @ x
        h = P.h @ m
        """,
    ),
    "no gradient to any parameter": (
        "x, h_prev, W, R, b",
        """
        h = stop_gradient(tanh(W.h @ x + R.h @ h_prev + b.h)) + h_prev / 2
        """,
    ),
    "every function": (
        "x, h_prev, c_prev, W, R, b",
        """
        a = W.a @ x + R.a @ h_prev + b.a
        e = exp(clip(a, -2, 2)) + log(1 + softplus(a)) - log_sigmoid(a) + sqrt(2 + tanh(c_prev))
        c = minimum(relu(a), 2) * step(a + 0.1) + maximum(stop_gradient(a), sigmoid(c_prev)) - mean(e)
        h = tanh(c * (2 + sigmoid(a)) ** 0.7 / (1 + e * e) ** 1.5)
        """,
    ),
}


def cell_of_rule(rule: str) -> Cell:
    arguments, lines = RULES[rule]
    body = [line.strip() for line in lines.strip().splitlines()]
    states = [a.removesuffix("_prev") for a in arguments.split(", ") if a.endswith("_prev")]
    text = "\n    ".join([f"def rule({arguments}):", *body, f"return {', '.join(states)}"])
    return cell_of(text + "\n", inf=float("inf"))


# ---------------------------------------------------------------------- drawn at random

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
    "(1 + ({a})**2)**0.7",
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


_FIRST = (
    "sigmoid(W.q0 @ x + R.q0 @ h_prev)",
    "sigmoid(W.q0 @ x + R.q0 @ h_prev + b.q0)",
    "W.q0 @ x",
    "tanh(W.q0 @ x + b.q0) * sigmoid(R.q0 @ h_prev)",
)


@st.composite
def legal_cells(draw: st.DrawFn) -> Cell:
    """Draw a cell: states, step inputs, quantities that read each other, products of several stages, a projection."""
    states = ["h", "c", "n"][: draw(st.integers(1, 3))]
    step_inputs = ["m_t"][: draw(st.integers(0, 1))]
    projected = draw(st.integers(0, 3)) == 0
    known = [f"{s}_prev" for s in states if s != "h" or not projected] + step_inputs
    lines = [f"q0 = {draw(st.sampled_from(_FIRST))}"]
    computed, other = ["q0"], "U" if projected else "R"  # a group's matrices are all of one size
    names = [f"q{k}" for k in range(1, draw(st.integers(2, 4)))]
    for name in [*names, *reversed(states)]:
        known_here = [*known, *computed]
        if name == "h" and projected:
            lines.append(f"h = P.h @ {draw(st.sampled_from(computed))}")
            continue
        operand = draw(st.sampled_from(known_here))
        inner = draw(_expressions(known_here, 1))
        gate = draw(st.sampled_from(("i", name)))
        products = [f"W.{gate} @ x", f"{other}.{name} @ {operand}", f"{other}.i @ {operand}"]
        products.append(f"R.{name} @ h_prev" if "mean" in inner else f"S.{gate} @ tanh({inner})")
        wrapped = [f"({product})" for product in products]
        atoms = [*known_here, *known_here, *wrapped, f"b.{name}", "p.i", f"p.{gate}"]
        value = draw(_expressions(atoms, draw(st.integers(1, 2))))
        if name not in states:
            lines.append(f"{name} = tanh(q0 - {value})")
        elif draw(st.integers(0, 4)) == 0:
            lines.append(f"{name} = {draw(st.sampled_from(computed))}")
        else:
            lines.append(f"{name} = 0.5 * {name}_prev + 0.5 * tanh({value})")
        computed.append(name)
    text = "\n    ".join([*lines, f"return {', '.join(states)}"])
    groups = [g for g in ("W", "R", "S", "U", "P", "p", "b") if f"{g}." in text]
    arguments = ["x", *(f"{s}_prev" for s in states), *(m for m in step_inputs if m in text), *groups]
    return cell_of(f"def drawn({', '.join(arguments)}):\n    {text}\n", half=0.5, inf=float("inf"))
