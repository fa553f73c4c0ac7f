"""SymPy expressions as text: the terms in the order of the definition, not SymPy's."""

from collections.abc import Mapping

import sympy

__all__ = ["text"]

_SUM, _MUL, _UNARY, _POWER, _ATOM = range(5)


def text(expression: sympy.Expr, order: Mapping[str, int]) -> str:
    """Print an expression as Python.

    Args:
        expression: what to print.
        order: symbol name -> rank; terms and factors are sorted by it. Adjoints (`do`) come first in a product.

    Returns:
        One line of Python.
    """
    return _Printer(order).show(expression, _SUM)


class _Printer:
    def __init__(self, order: Mapping[str, int]) -> None:
        self.order = order

    def _rank(self, expression: sympy.Expr) -> tuple:
        """A factor's place: adjoints, parameters, quantities, previous states, then functions and sums."""
        if expression.is_Symbol:
            name = expression.name
            if name not in self.order:
                return 0, 0, name
            kind = 1 if "." in name and "@" not in name else 3 if name.endswith("_prev") else 2
            return kind, self.order[name], name
        return 4, self._last(expression), str(expression)

    def _last(self, expression: sympy.Expr) -> int:
        return max((self.order.get(s.name, -1) for s in expression.free_symbols), default=-1)

    def _term_rank(self, term: sympy.Expr) -> tuple:
        if term.is_Number:
            return (2 if term.is_negative else 0), 0, str(term)
        return int(term.could_extract_minus_sign()), self._last(term), str(term)

    def show(self, expression: sympy.Expr, outer: int) -> str:
        inner, shown = self._show(expression)
        return f"({shown})" if inner < outer else shown

    def _show(self, e: sympy.Expr) -> tuple[int, str]:
        if e.is_Symbol:
            return (_MUL if "@" in e.name else _ATOM), e.name
        if e.is_Number:
            return self._number(e)
        if e.is_Add:
            return _SUM, self._sum(e)
        if e.is_Pow and not (e.exp.is_Number and e.exp.is_negative):
            return _POWER, f"{self.show(e.base, _ATOM)}**{self.show(e.exp, _ATOM)}"
        if e.is_Mul or e.is_Pow:
            return self._product(e)
        return _ATOM, f"{e.func.__name__}({', '.join(self.show(a, _SUM) for a in e.args)})"

    def _number(self, e: sympy.Number) -> tuple[int, str]:
        if e.is_infinite:
            return (_ATOM, "inf") if e.is_extended_positive else (_UNARY, "-inf")
        if e.is_Rational and not e.is_Integer:
            return _MUL, f"{e.p}/{e.q}"
        value = str(int(e)) if e.is_Integer else repr(float(e))
        return (_UNARY if value.startswith("-") else _ATOM), value

    def _sum(self, e: sympy.Add) -> str:
        shown = ""
        for term in sorted(e.args, key=self._term_rank):
            negative = bool(shown) and term.could_extract_minus_sign()
            part = self.show(-term if negative else term, _MUL)
            shown += f" - {part}" if negative else f" + {part}" if shown else part
        return shown

    def _product(self, e: sympy.Expr) -> tuple[int, str]:
        coefficient, rest = e.as_coeff_Mul()
        above, below = [], []
        for factor in sympy.Mul.make_args(rest):
            if factor.is_Pow and factor.exp.is_Number and factor.exp.is_negative:
                below.append(factor.base ** (-factor.exp))
            else:
                above.append(factor)
        sign = "-" if coefficient.is_negative else ""
        coefficient = abs(coefficient)
        numerator, denominator = sympy.fraction(coefficient) if coefficient.is_Rational else (coefficient, sympy.S.One)
        factors = [self.show(f, _UNARY) for f in sorted(above, key=self._rank)]
        if numerator != 1 or not factors:
            factors.insert(0, self.show(numerator, _UNARY))
        divisors = [self.show(f, _POWER) for f in sorted(below, key=self._rank)]
        if denominator != 1:
            divisors.append(self.show(denominator, _POWER))
        shown = "*".join(factors) + "".join(f"/{d}" for d in divisors)
        return _MUL if not sign else _UNARY if len(factors) == 1 and not divisors else _MUL, sign + shown
