"""A network's parts as a C99 file and its header."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from carrousel.exchange.c_text_step import Step
from carrousel.exchange.c_text_words import Names, array, arrays, call, comment, functions, number
from carrousel.exchange.to_c_parts import Elementwise, Embedded, Layer, Linear, Part

__all__ = ["Text", "text_of"]


@dataclass(frozen=True)
class Text:
    """The two files.

    Attributes:
        source: the .c file.
        header: the .h file.
    """

    source: str
    header: str


def text_of(parts: Sequence[Part], name: str, header: str, int8: bool, note: str = "") -> Text:
    """Write a network as C.

    Args:
        parts: of the network, in order.
        name: what stands before every public name.
        header: the header's file name.
        int8: whether matrices are kept as bytes.
        note: what the source says about itself besides.

    Returns:
        Both texts; the same network gives the same text.
    """
    writer = _Writer(parts, name, int8)
    code = "\n".join([*writer.layers(), writer.reset(), writer.step()])
    called, math = functions(code)
    start = [_about(parts, writer, math, note), f'#include "{header}"\n', _math(name) if math else "", called]
    return Text("\n".join(text for text in (*start, writer.arrays(), code) if text), _header(parts, writer))


def _about(parts: Sequence[Part], writer: "_Writer", math: Sequence[str], note: str) -> str:
    lines = [
        f"{', '.join(map(str, parts))}; values in: {parts[0].input_size}, values out: {parts[-1].output_size}.",
        f"C99, no allocation; arrays on the stack: {writer.stack:,} bytes at most.",
        f"Needs of math.h: {', '.join(math) or 'nothing'}.",
        f"Without a math library: -D{writer.macro}_MATH='\"mine.h\"' names a header that takes its place."
        if math
        else "",
        note,
        "Written by carrousel; change the network, not this file.",
    ]
    return "".join(comment(line) + "\n" for line in lines if line)


def _math(name: str) -> str:
    macro = f"{name.upper()}_MATH"
    return f"#ifdef {macro}\n#include {macro}\n#else\n#include <math.h>\n#endif\n"


def _header(parts: Sequence[Part], writer: "_Writer") -> str:
    name, macro = writer.name, writer.macro
    takes = f"x[0] is the number of a symbol, 0 to {len(parts[0].table) - 1}" if isinstance(parts[0], Embedded) else ""
    fields = "".join(f"    float {field}[{len(value)}];\n" for field, value in writer.fields.items())
    about = f"Take one step: x has {macro}_INPUT_SIZE values, y takes {macro}_OUTPUT_SIZE; they do not overlap."
    return f"""\
#ifndef {macro}_H
#define {macro}_H

#define {macro}_INPUT_SIZE {parts[0].input_size}
#define {macro}_OUTPUT_SIZE {parts[-1].output_size}

#ifdef __cplusplus
extern "C" {{
#endif

/* The states behind the last step; one for each sequence. */
typedef struct {{
{fields}}} {name}_state;

/* Begin a sequence. */
void {name}_reset({name}_state *state);

{comment(about)}
{comment(f"{takes}; any other is taken for the nearest of these.") + chr(10) if takes else ""}\
void {name}_step({name}_state *state, const float *x, float *y);

#ifdef __cplusplus
}}
#endif

#endif
"""


class _Writer:
    """Writes the parts, and the two functions that call them."""

    def __init__(self, parts: Sequence[Part], name: str, int8: bool) -> None:
        self.name, self.macro, self.int8, self.items = name, name.upper(), int8, list(parts)
        public = (f"{name}_state", f"{name}_reset", f"{name}_step")
        macros = (f"{self.macro}_{end}" for end in ("H", "MATH", "INPUT_SIZE", "OUTPUT_SIZE"))
        self.names = Names((*public, *macros))
        self.fields: dict[str, Tensor] = {}  # of the state: what a sequence begins with
        self.steps: dict[int, tuple[Step, list[str]]] = {}  # place -> its step and the fields of its states
        for place, part in enumerate(self.items):
            if isinstance(part, Layer):
                step = Step(part, place, self.names, int8)
                fields = [self.names.free(f"{state}_l{place}") for state in step.previous]
                self.steps[place] = step, fields
                self.fields |= dict(zip(fields, part.initial.values(), strict=True))
        self.tables = {
            place: self.names.free(f"{'table' if isinstance(part, Embedded) else 'weight'}_l{place}")
            for place, part in enumerate(self.items)
            if isinstance(part, Embedded | Linear)
        }
        self.biases = {
            place: self.names.free(f"bias_l{place}")
            for place, part in enumerate(self.items)
            if isinstance(part, Linear) and part.bias is not None
        }
        self.begins = {field: self.names.free(f"{field}_initial") for field in self.fields}

    @property
    def stack(self) -> int:
        """Bytes of the arrays that lie on the stack at the same time."""
        between = [part.output_size for place, part in enumerate(self.items[:-1]) if place not in self.steps]
        return 4 * sum(between) + max(step.stack for step, _ in self.steps.values())

    def layers(self) -> list[str]:
        """The functions of the recurrent layers."""
        return [step.text for step, _ in self.steps.values()]

    def arrays(self) -> str:
        """The weights of all parts, and the states that do not begin with one number for all units."""
        text = ""
        for place, part in enumerate(self.items):
            if isinstance(part, Layer):
                text += self.steps[place][0].arrays
            elif isinstance(part, Embedded):
                text += arrays(self.tables[place], part.table, self.int8)
            elif isinstance(part, Linear):
                text += arrays(self.tables[place], part.weight, self.int8)
                text += array(self.biases[place], "float", part.bias) if part.bias is not None else ""
        for field, value in self.fields.items():
            text += "" if _is_one_number(value) else array(self.begins[field], "float", value)
        return text

    def reset(self) -> str:
        """The function that begins a sequence."""
        lines = []
        for field, value in self.fields.items():
            first = number(float(value[0])) if _is_one_number(value) else f"{self.begins[field]}[k]"
            lines += _each(len(value), f"state->{field}[k] = {first};")
        return _function(f"void {self.name}_reset({self.name}_state *state)", lines)

    def step(self) -> str:
        """The function that takes one step through all parts."""
        lines: list[str] = []
        before, last = "x", len(self.items) - 1
        for place, part in enumerate(self.items):
            if place in self.steps:
                step, fields = self.steps[place]
                states = [f"state->{field}" for field in fields]
                lines.append(f"{step.name}({', '.join([before, *states])});")
                before = states[0]
                if place == last:
                    lines += _each(part.output_size, f"y[k] = {before}[k];")
                continue
            after = "y" if place == last else f"v{place}"
            if place != last:
                lines.append(f"float {after}[{part.output_size}];")
            lines += self._plain(place, part, before, after)
            before = after
        signature = f"void {self.name}_step({self.name}_state *state, const float *x, float *y)"
        return _function(signature, lines)

    def _plain(self, place: int, part: Part, before: str, after: str) -> list[str]:
        """The lines of a part that is no recurrent layer."""
        table, scale = self.tables.get(place, ""), ""
        if self.int8 and table:
            scale = f"{table}_scale[{{}}] * "
        if isinstance(part, Linear):
            dot = "dot8" if self.int8 else "dot"
            bias = f" + {self.biases[place]}[k]" if place in self.biases else ""
            product = f"{scale.format('k')}{dot}({table}[k], {before}, {part.input_size})"
            return _each(part.output_size, f"{after}[k] = {product}{bias};")
        if isinstance(part, Embedded):
            most, symbol = len(part.table) - 1, f"s{place}"
            nearest = f"{before}[0] < {most}.0f ? (int){before}[0] : {most}"
            value = f"{scale.format(symbol)}{'(float)' if self.int8 else ''}{table}[{symbol}][k]"
            chosen = f"const int {symbol} = {before}[0] > 0.0f ? ({nearest}) : 0;"
            return [chosen, *_each(part.output_size, f"{after}[k] = {value};")]
        assert isinstance(part, Elementwise)
        return _each(part.output_size, f"{after}[k] = {call(part.function, [f'{before}[k]'])};")


def _is_one_number(value: Tensor) -> bool:
    return bool((value == value[0]).all())


def _each(count: int, line: str) -> list[str]:
    return [f"for (int k = 0; k < {count}; ++k) {{", f"    {line}", "}"]


def _function(signature: str, lines: Sequence[str]) -> str:
    return f"{signature}\n{{\n" + "".join(f"    {line}\n" for line in lines) + "}\n"
