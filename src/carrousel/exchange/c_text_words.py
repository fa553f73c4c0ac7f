"""The words of C99 that exports are written in: names, numbers, arrays, comments, and the notation's functions."""

import re
from collections.abc import Iterable

import torch
from torch import Tensor

from carrousel.exchange.to_c_parts import quantised

__all__ = ["Names", "array", "arrays", "call", "comment", "functions", "is_name", "number"]

# fmt: off
#: Words of C and C++.
_KEYWORDS = (
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern", "float",
    "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed", "sizeof",
    "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "_Bool", "_Complex",
    "_Imaginary", "asm", "typeof", "bool", "true", "false", "nullptr", "constexpr", "alignas", "alignof",
    "static_assert", "thread_local", "class", "delete", "new", "private", "protected", "public", "this", "throw", "try",
    "catch", "template", "virtual", "operator", "namespace", "using", "friend",
)

#: What the text around the equations is called; macros of math.h and of compilers.
_OWN = (
    "k", "n", "s", "v", "w", "y", "state", "dot", "dot8", "square", "INFINITY", "NAN", "HUGE_VAL", "HUGE_VALF",
    "HUGE_VALL", "NULL", "EOF", "linux", "unix", "i386",
)
# fmt: on

#: function of the notation -> the C that computes it; `{0}` and so on are its arguments.
_CALLS = {
    "tanh": "tanhf({0})",
    "exp": "expf({0})",
    "log": "logf({0})",
    "sqrt": "sqrtf({0})",
    "power": "powf({0}, {1})",
}

#: name -> arguments and body of what is no function of math.h. A NaN comes back as NaN.
_BODIES = {
    "sigmoid": ("float a", "return 1.0f / (1.0f + expf(-a));"),
    "softplus": ("float a", "return (a > 0.0f ? a : 0.0f) + log1pf(expf(a > 0.0f ? -a : a));"),
    "log_sigmoid": ("float a", "return (a < 0.0f ? a : 0.0f) - log1pf(expf(a > 0.0f ? -a : a));"),
    "relu": ("float a", "return a < 0.0f ? 0.0f : a;"),
    "step": ("float a", "return a > 0.0f ? 1.0f : 0.0f;"),
    "maximum": ("float a, float b", "return a > b || a != a ? a : b;"),
    "minimum": ("float a, float b", "return a < b || a != a ? a : b;"),
    "clip": ("float a, float low, float high", "a = a < low ? low : a;\n    return a > high ? high : a;"),
    "square": ("float a", "return a * a;"),
    "mean": (
        "const float *v, int n",
        "float s = 0.0f;\n    for (int k = 0; k < n; ++k) {\n        s += v[k];\n    }\n    return s / (float)n;",
    ),
}

_DOT = """\
/* The sum of w[k] * v[k]. Eight sums side by side round less than one, and let a compiler use vectors. */
static float {name}(const {kind} *w, const float *v, int n)
{{
    float s[8] = {{0.0f}};
    for (; n >= 8; n -= 8, w += 8, v += 8) {{
{eight}    }}
    for (int k = 0; k < n; ++k) {{
        s[0] += {weight}w[k] * v[k];
    }}
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}}
"""


def _dot(name: str, kind: str, weight: str) -> str:
    eight = "".join(f"        s[{k}] += {weight}w[{k}] * v[{k}];\n" for k in range(8))
    return _DOT.format(name=name, kind=kind, weight=weight, eight=eight)


_DOTS = {
    "dot": _dot("dot", "float", ""),
    "dot8": _dot("dot8", "signed char", "(float)"),
}

#: What math.h must give, in the order in which the comment names it.
_MATH = ("expf", "logf", "log1pf", "powf", "sqrtf", "tanhf", "INFINITY")


class Names:
    """Gives every thing of a scope a name of its own: the wanted one, made ASCII, if it is free.

    Example:
        >>> names = Names()
        >>> names.free("c"), names.free("c"), names.free("int"), names.free("für")
        ('c', 'c_', 'int_', 'fufcr')
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = {*_KEYWORDS, *_OWN, *_MATH, *_BODIES, *taken}

    def free(self, name: str) -> str:
        """Return a free name and take it."""
        found = "".join(c if c.isascii() else f"u{ord(c):x}" for c in name)
        while found in self.taken:
            found += "_"
        self.taken.add(found)
        return found


def is_name(text: str) -> bool:
    """Whether a text can name things in C."""
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", text) is not None and text not in _KEYWORDS


def comment(text: str) -> str:
    """Return a text as a comment; it can not end the comment early, nor say anything to the preprocessor."""
    safe = text.encode("ascii", "backslashreplace").decode()
    safe = re.sub(r"/(?=\*)|\*(?=/)|\?(?=\?)", r"\g<0> ", safe)
    return f"/* {safe} */"


def number(value: float) -> str:
    """Return a float32 as C, with as many digits as it needs.

    Example:
        >>> number(0.1), number(-2), number(float("-inf"))
        ('0.1f', '-2.0f', '-INFINITY')
    """
    text = str(torch.tensor(float(value), dtype=torch.float32).numpy())
    return text.replace("inf", "INFINITY") if text.endswith("inf") else f"{text}f"


def call(function: str, arguments: Iterable[str]) -> str:
    """Return the call of a function of the notation."""
    given = tuple(arguments)
    form = _CALLS.get(function)
    return form.format(*given) if form else f"{function}({', '.join(given)})"


def functions(text: str) -> tuple[str, list[str]]:
    """Return the functions that a text calls, as C, and what it then needs of math.h."""
    text = re.sub(r"/\*.*?\*/", "", text)
    called = [n for n in _BODIES if re.search(rf"\b{n}\(", text)]
    written = [f"static float {n}({_BODIES[n][0]})\n{{\n    {_BODIES[n][1]}\n}}\n" for n in called]
    written += [dot for n, dot in _DOTS.items() if re.search(rf"\b{n}\(", text)]
    found = "\n".join(written)
    return found, [n for n in _MATH if re.search(rf"\b{n}\b", found + text)]


def arrays(name: str, values: Tensor, int8: bool) -> str:
    """Return the declaration of weights; with `int8` a matrix becomes bytes and one scale a row."""
    if not int8 or values.dim() == 1:
        return array(name, "float", values)
    numbers, scales = quantised(values)
    return array(name, "signed char", numbers) + array(f"{name}_scale", "float", scales)


def array(name: str, kind: str, values: Tensor) -> str:
    """Return the declaration of a constant array of one or two axes."""
    shape = "".join(f"[{n}]" for n in values.shape)
    inside = _row(values, "") if values.dim() == 1 else _braced([f"    {_row(row, '    ')}," for row in values], "")
    return f"static const {kind} {name}{shape} = {inside};\n"


def _row(values: Tensor, indent: str, count: int = 8) -> str:
    """One row; a long one takes a line for every eight values."""
    mark = "f" if values.is_floating_point() else ""
    printed = [f"{text}{mark}" for text in map(str, values.numpy())]
    if len(printed) <= count:
        return f"{{{', '.join(printed)}}}"
    lines = (", ".join(printed[k : k + count]) for k in range(0, len(printed), count))
    return _braced([f"{indent}    {line}," for line in lines], indent)


def _braced(lines: Iterable[str], indent: str) -> str:
    return "{\n" + "\n".join(lines) + f"\n{indent}}}"
