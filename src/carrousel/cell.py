"""A recurrent cell: one definition, and everything that is derived from it."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, overload

from carrousel import backends
from carrousel.calculus.notation import Definition, Equation, Group, normal_form, parse, read
from carrousel.errors import BackendError, DefinitionError, OptionTypeError, UnknownNameError, did_you_mean
from carrousel.functions import TABLE, Function

if TYPE_CHECKING:
    from carrousel.calculus.adjoint import Adjoint
    from carrousel.calculus.trace import Trace

__all__ = ["Cell", "cell"]


class Cell:
    """A recurrent cell, made by `@cell` from the equations of its paper.

    Calling a cell runs its definition for one step on torch tensors: the reference.

    Attributes:
        name: the definition's name, with its constants: `memory_cell(g=2, h=1)`.
        definition: the checked text.
        initial: state -> its value before the first step, 0 where not named.
        shared: the gates that the cells of one memory block share (Hochreiter & Schmidhuber 1997, section 4).
        init: the name of the initialiser that the cell's paper asks for, None for PyTorch's.
        gains: the groups of vectors that scale what is normalised: they begin at 1, whatever draws the rest.

    Shapes:
        Calling with tensors: x (batch, input), states (batch, hidden), groups as `carrousel.backends.eager.groups`
        makes them.

    Example:
        >>> from carrousel import cell
        >>> from carrousel.functions import tanh
        >>> @cell
        ... def leaky(x, h_prev, W, R, b):
        ...     z = tanh(W.z @ x + R.z @ h_prev + b.z)
        ...     h = 0.9 * h_prev + 0.1 * z
        ...     return h
        >>> leaky.states
        ('h',)
        >>> print(leaky.adjoint)
        dz      = 0.1*dh
        da_z    = dz*(1 - z**2)
        dx      = W.z.T @ da_z
        dh_prev = 0.9*dh + R.z.T @ da_z
        db.z    = da_z
        dW.z    = outer(da_z, x)
        dR.z    = outer(da_z, h_prev)

    Source:
        The notation is carrousel's own; each cell of the registry names its paper.
    """

    def __init__(
        self,
        definition: Definition,
        initial: Mapping[str, float] | None = None,
        shared: tuple[str, ...] = (),
        init: str | None = None,
        gains: tuple[str, ...] = (),
    ) -> None:
        self.definition = definition
        self.name = definition.name + _constants(definition)
        self.initial = {**dict.fromkeys(definition.states, 0.0), **self._checked_initial(initial or {})}
        self.shared = self._checked_shared(shared)
        self.init = init
        self.gains = self._checked_gains(gains)

    def _checked_initial(self, initial: Mapping[str, float]) -> dict[str, float]:
        if not isinstance(initial, Mapping):
            self._mistaken("initial=", f"is {initial!r}, expected state -> number", 'write initial={"m": -inf}')
        for state, value in initial.items():
            self._known("initial=", state, self.states, "states")
            if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
                self._mistaken(
                    "initial=", f"gives {state} the value {value!r}, expected a number", "give an int or float"
                )
        return {state: float(value) for state, value in initial.items()}

    def _checked_shared(self, shared: tuple[str, ...]) -> tuple[str, ...]:
        if isinstance(shared, str):
            self._mistaken("shared=", f"is the text {shared!r}, expected names", f'write shared=("{shared}",)')
        for gate in shared:
            self._known("shared=", gate, self.quantities, "quantities")
        return tuple(shared)

    def _checked_gains(self, gains: tuple[str, ...]) -> tuple[str, ...]:
        if isinstance(gains, str):
            self._mistaken("gains=", f"is the text {gains!r}, expected names", f'write gains=("{gains}",)')
        vectors = tuple(group.name for group in self.groups if not group.is_matrix)
        for group in gains:
            self._known("gains=", group, vectors, "groups of vectors")
        return tuple(gains)

    def _known(self, option: str, name: str, known: tuple[str, ...], kind: str) -> None:
        if name not in known:
            todo = did_you_mean(str(name), known).strip() or f"name one of the {kind}"
            self._mistaken(option, f"names {name!r}; the {kind} are {', '.join(known) or 'none'}.", todo)

    def _mistaken(self, option: str, what: str, todo: str) -> NoReturn:
        raise DefinitionError(self.name, None, f"@cell({option}...)", f"{option} {what}", todo)

    # ------------------------------------------------------------------ what follows from the definition

    @property
    def states(self) -> tuple[str, ...]:
        """The states in the order of the signature; the first is the output."""
        return self.definition.states

    @property
    def groups(self) -> tuple[Group, ...]:
        """The parameter groups, gates in order of first use."""
        return self.definition.groups

    @property
    def quantities(self) -> tuple[str, ...]:
        """Every name that the definition binds."""
        return self.definition.quantities

    @property
    def doc(self) -> str:
        """The definition's docstring."""
        return self.definition.doc

    @property
    def paper(self) -> str:
        """The `Source:` line of the docstring."""
        lines = [line.strip() for line in self.doc.splitlines()]
        return next((line.removeprefix("Source:").strip() for line in lines if line.startswith("Source:")), "")

    @functools.cached_property
    def equations(self) -> tuple[Equation, ...]:
        """The equations of one step; every pre-activation has a name of its own (`a_i`)."""
        return normal_form(self.definition)

    @property
    def traceable(self) -> tuple[str, ...]:
        """What `return_trace=` can name: the left sides of `equations`, pre-activations included."""
        return tuple(equation.name for equation in self.equations)

    @functools.cached_property
    def trace(self) -> "Trace":
        """The equations on symbols."""
        from carrousel.calculus.trace import trace

        return trace(self.definition)

    @functools.cached_property
    def adjoint(self) -> "Adjoint":
        """The derived adjoint equations of one step."""
        from carrousel.calculus.adjoint import adjoint

        return adjoint(self.trace)

    def __str__(self) -> str:
        width = max(len(e.name) for e in self.equations)
        title = self.doc.splitlines()[0] if self.doc else ""
        lines = [f"{self.name}: {title}" if title else self.name]
        lines += [self.paper] if self.paper else []
        lines.append("")
        lines += [f"{e.name:{width}} = {str(e).partition(' = ')[2]}" for e in self.equations]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<cell {self.name}: states {', '.join(self.states)}>"

    # ------------------------------------------------------------------ kernels

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Run one step on tensors."""
        return self.step()(*arguments, **keywords)

    def source(self, backend: str = "eager", direction: str = "forward", stage: str | None = None) -> str:
        """Return the text of a generated kernel: exactly what runs.

        Args:
            backend: a name of `carrousel.backends.names()`.
            direction: "forward" or "backward".
            stage: which of the texts on the way to the machine, None for the first; "eager" has one.

        Returns:
            The kernel's text.

        Raises:
            UnknownNameError: there is no such backend, direction or stage.
            BackendError: the text of torch's own operator is compiled C++.

        Example:
            >>> from carrousel import cells
            >>> print(cells.get("irnn").source("eager"))  # doctest: +ELLIPSIS
            from carrousel.functions import relu
            ...
                h = relu(W.h @ x + R.h @ h_prev + b.h)
                return h
            <BLANKLINE>
        """
        if backend == "torch":
            raise BackendError(
                "backend 'torch' - its kernels are compiled into torch - backend 'eager' has text to show"
            )
        return backends.get(backend).source(self.definition, direction, stage=stage)

    def step(
        self, backend: str = "eager", direction: str = "forward", traced: tuple[str, ...] = ()
    ) -> Callable[..., Any]:
        """Return one step of the cell as a function on tensors, compiled once.

        Args:
            backend: a backend that has such functions: "eager".
            direction: "forward" or "backward".
            traced: quantities that the forward step returns besides the states.

        Returns:
            The compiled kernel; its text shows its arguments.

        Raises:
            UnknownNameError: there is no such backend, direction or quantity.
            BackendError: the backend has no such functions.
        """
        key = (backend, direction, tuple(traced))
        if key not in self._steps:
            for name in traced:
                if name not in self.traceable:
                    raise UnknownNameError(
                        f"{self.name} - no quantity {name!r}, there are {', '.join(self.traceable)} -"
                        + (did_you_mean(name, self.traceable) or " name one of them")
                    )
            compile_kernel = None if backend == "torch" else getattr(backends.get(backend), "compile_kernel", None)
            if compile_kernel is None or backend != backends.REFERENCE:  # the others' kernels are sequences
                raise BackendError(
                    f"backend {backend!r} - it has no step as a function on tensors - backend 'eager' has one"
                )
            written = traced if direction == "forward" else ()
            self._steps[key] = compile_kernel(backends.get(backend).source(self.definition, direction, written))
        return self._steps[key]

    @functools.cached_property
    def _steps(self) -> dict[tuple, Callable[..., Any]]:
        return {}

    # ------------------------------------------------------------------ variants

    def truncated(self) -> "Cell":
        """Return the cell with the truncated gradient of 1997.

        The value is the same; what would flow back into a previous state through a product is dropped, so that only the
        elementwise path, the constant error carrousel, carries the error through time.

        Returns:
            A new Cell.

        Source:
            Hochreiter & Schmidhuber (1997), Neural Computation 9(8), appendix A.1.
        """
        from carrousel.transforms import truncated

        return truncated(self)

    # ------------------------------------------------------------------ identity

    def _key(self) -> tuple:
        return self.name, self.definition.identity, tuple(self.initial.items()), self.shared, self.init, self.gains

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __copy__(self) -> "Cell":
        return self

    def __deepcopy__(self, memo: dict) -> "Cell":
        return self

    def __reduce__(self) -> tuple:
        return Cell, (self.definition, self.initial, self.shared, self.init, self.gains)


@overload
def cell(definition: Callable[..., Any], /) -> Cell: ...


@overload
def cell(
    *,
    initial: Mapping[str, float] | None = None,
    shared: tuple[str, ...] = (),
    init: str | None = None,
    gains: tuple[str, ...] = (),
) -> Callable[[Callable[..., Any]], Cell]: ...


def cell(
    definition: Callable[..., Any] | None = None,
    /,
    *,
    initial: Mapping[str, float] | None = None,
    shared: tuple[str, ...] = (),
    init: str | None = None,
    gains: tuple[str, ...] = (),
) -> Cell | Callable[[Callable[..., Any]], Cell]:
    """Make a cell from the function that it decorates.

    Args:
        definition: the equations of one step; `carrousel.calculus.notation` has the rules.
        initial: state -> its value before the first step where that is not 0.
        shared: the gates that the cells of one memory block share.
        init: the name of the cell's own initialiser.
        gains: the groups of vectors that begin at 1.

    Returns:
        The Cell, or a decorator if options are given.

    Raises:
        DefinitionError: the definition breaks the notation; the message names cell, line, equation and what to do.
        OptionTypeError: it is not a function.

    Example:
        >>> from carrousel import cell
        >>> from carrousel.functions import sigmoid, tanh
        >>> @cell
        ... def minimal(x, h_prev, W, R, b):
        ...     f = sigmoid(W.f @ x + R.f @ h_prev + b.f)
        ...     z = tanh(W.z @ x + R.z @ (f * h_prev) + b.z)
        ...     h = (1 - f) * h_prev + f * z
        ...     return h
        >>> print(minimal)
        minimal
        <BLANKLINE>
        a_f = W.f @ x + R.f @ h_prev + b.f
        f   = sigmoid(a_f)
        u_z = f * h_prev
        a_z = W.z @ x + R.z @ u_z + b.z
        z   = tanh(a_z)
        h   = (1 - f) * h_prev + f * z
    """

    def make(function: Callable[..., Any]) -> Cell:
        if not callable(function):
            raise OptionTypeError(f"@cell - expected a function, got {function!r} - write @cell above a `def`")
        try:
            definition = read(function)
        except DefinitionError as error:  # the message says where; frames of carrousel would bury it
            raise error.with_traceback(None) from None
        return Cell(definition, initial, shared, init, gains)

    return make if definition is None else make(definition)


def from_text(text: str, constants: Mapping[str, Any], like: Cell) -> Cell:
    """Make a cell from a definition's text; its options are those of `like` where its states still exist."""
    definition = parse(text, {**TABLE, **constants}, like.definition.name)
    initial = {s: v for s, v in like.initial.items() if s in definition.states}
    shared = tuple(g for g in like.shared if g in definition.quantities)
    gains = tuple(g for g in like.gains if g in definition.arguments)
    return Cell(definition, initial, shared, like.init, gains)


def _constants(definition: Definition) -> str:
    """The constants as they stand in a cell's name: `(g=2, h=1)`; functions under their own name do not."""
    named = []
    for name, value in definition.constants.items():
        if isinstance(value, Function):
            if value.name != name:
                named.append(f"{name}={value.name}")
        elif not (isinstance(value, float) and math.isinf(value)):
            named.append(f"{name}={value!r}")
    return f"({', '.join(named)})" if named else ""
