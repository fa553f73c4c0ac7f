"""The embedded Reber grammar: predict the next symbol of a string; its last but one repeats its second."""

import torch
from torch import Tensor

from carrousel.nn.checks import whole_number
from carrousel.tasks.ragged import beyond, end_to_end
from carrousel.tasks.sequences import Sequences

__all__ = ["INPUTS", "MINIMAL_LENGTH", "OUTPUTS", "SYMBOLS", "continual", "reber", "stream", "training_and_test_sets"]

#: The symbols, in the order of their numbers.
SYMBOLS = "BTSXPVE"

INPUTS = OUTPUTS = len(SYMBOLS)

#: Symbols of the shortest strings, BTBTXSETE and its like; every fourth string is one of them, the mean is 12.
MINIMAL_LENGTH = 9

#: Reber's grammar: what may come in each state, and which state it leads to; 7 is the end.
_REBER = ({"B": 1}, {"T": 2, "P": 3}, {"S": 2, "X": 4}, {"T": 3, "V": 5}, {"X": 3, "S": 6}, {"P": 4, "V": 6}, {"E": 7})

_STEPS_AT_ONCE = 32


def _embedded() -> list[dict[str, int]]:
    """The grammar with a copy of Reber's for each second symbol; the last symbol leads back to state 0, the start."""
    states = [{"B": 1}, {"T": 3, "P": 4 + len(_REBER)}, {"E": 0}]
    for second in "TP":
        copy = len(states)
        states += [{symbol: copy + state for symbol, state in arcs.items()} for arcs in _REBER]
        states.append({second: 2})
    return states


#: Two arcs leave each state, the same one twice where there is no choice: arcs 2 * state and 2 * state + 1.
_STATES = _embedded()
_ARCS = [list(arcs.items())[coin % len(arcs)] for arcs in _STATES for coin in (0, 1)]
_SYMBOL = torch.tensor([SYMBOLS.index(symbol) for symbol, _ in _ARCS])
_FIRST_ARC_AFTER = torch.tensor([2 * state for _, state in _ARCS])
_ALLOWED_AFTER = torch.tensor([[symbol in _STATES[state] for symbol in SYMBOLS] for _, state in _ARCS])


def reber(batch_size: int, *, generator: torch.Generator | None = None) -> Sequences:
    """Draw strings of the embedded Reber grammar; both ways out of a state are equally likely.

    A string is B, then T or P, then a string of Reber's grammar (from B to E), then the second symbol again, then E.
    The input is the string without its last symbol, the target at every step the next symbol.

    The arcs of Reber's grammar are the customary ones: the 1997 paper shows them in a figure only.

    Args:
        batch_size: the number of strings.
        generator: the source of randomness; the same seed gives the same batch. None is torch's global one.

    Returns:
        x, lengths, target and the symbols allowed next.

    Shapes:
        - x: (time, batch), int64, numbers of SYMBOLS; time is the longest length
        - lengths: (batch,), int64, at least 8
        - target: (time, batch), int64, -1 from a string's length on
        - allowed: (time, batch, 7), bool

    Raises:
        OptionTypeError: the size is not a whole number.
        OptionError: the batch is empty.

    Example:
        >>> x, lengths, target, allowed, _ = reber(2, generator=torch.Generator().manual_seed(5))
        >>> "".join(SYMBOLS[number] for number in x[: lengths[0], 0])
        'BPBTSXSEP'
        >>> "".join(SYMBOLS[number] for number in target[: lengths[0], 0])
        'PBTSXSEPE'

    Source:
        Hochreiter & Schmidhuber (1997), Neural Computation 9(8), section 5.1.
    """
    whole_number("reber", "batch_size", batch_size, 1)
    arcs, lengths = _walk(batch_size, generator)
    return _as_sequences(arcs[:-1], arcs[1:], lengths - 1)


def training_and_test_sets(generator: torch.Generator | None = None, size: int = 256) -> tuple[Sequences, Sequences]:
    """Draw a training set, and a test set that has none of its strings.

    Both are random draws and may have a string more than once; test strings that the training set has are drawn anew.
    That leaves few short strings in the test set: it is the harder one. (The paper says that the sets are separate, and
    not whether strings come twice: an assumption.)

    Args:
        generator: the source of randomness; the same seed gives the same sets. None is torch's global one.
        size: strings of each set.

    Returns:
        The training set and the test set.

    Raises:
        OptionTypeError: the size is not a whole number.
        OptionError: the sets are empty.

    Example:
        >>> training, test = training_and_test_sets(torch.Generator().manual_seed(0))
        >>> len(training.lengths), len(test.lengths)
        (256, 256)

    Source:
        Hochreiter & Schmidhuber (1997), section 5.1.
    """
    whole_number("training_and_test_sets", "size", size, 1)
    training = reber(size, generator=generator)
    known, draws = set(_strings(training)), 8 * size
    while True:
        drawn = reber(draws, generator=generator)
        unknown = [row for row, string in enumerate(_strings(drawn)) if string not in known]
        if len(unknown) >= size:
            return training, end_to_end(drawn, torch.tensor([unknown[:size]]), resets=False)
        draws *= 2


def stream(
    batch_size: int, strings: Sequences, count: int = 100, *, generator: torch.Generator | None = None
) -> Sequences:
    """Draw streams of strings from a set, at random with replacement; the states begin anew with each string.

    Args:
        batch_size: the number of streams.
        strings: the set, such as a training set.
        count: strings in each stream.
        generator: the source of randomness; the same seed gives the same batch. None is torch's global one.

    Returns:
        As of `reber`, and resets at each string's first step.

    Shapes:
        - x, target, resets: (time, batch) with time the longest stream
        - allowed: (time, batch, 7)

    Raises:
        OptionTypeError: a size is not a whole number.
        OptionError: a size is below 1.

    Example:
        >>> training, _ = training_and_test_sets(torch.Generator().manual_seed(0))
        >>> streams = stream(4, training, count=10)
        >>> streams.resets.sum(0).tolist()
        [10, 10, 10, 10]

    Source:
        Hochreiter & Schmidhuber (1997), section 5.1.
    """
    whole_number("stream", "batch_size", batch_size, 1)
    whole_number("stream", "count", count, 1)
    order = torch.randint(len(strings.lengths), (count, batch_size), generator=generator)
    return end_to_end(strings, order, resets=True)


def continual(
    batch_size: int,
    steps: int = 1000,
    *,
    is_whole: bool = False,
    resets: bool = False,
    generator: torch.Generator | None = None,
) -> Sequences:
    """Draw pieces of the endless concatenation of strings: nothing tells where a string ends, no state is reset.

    Each stream begins with a new string. Strings are whole here: the symbol after E is the next string's B. The paper's
    test streams have 100,000 symbols.

    Args:
        batch_size: the number of streams.
        steps: the length of each.
        is_whole: whether no string is cut: the streams then have at least so many steps, each its own number.
        resets: whether to mark the first steps of strings, for whoever may know them.
        generator: the source of randomness; the same seed gives the same batch. None is torch's global one.

    Returns:
        As of `reber`, with all lengths equal to `steps`; and the marks, if they are asked for.

    Shapes:
        - x, target: (time, batch) with time = steps, or the longest stream's
        - allowed: (time, batch, 7)

    Raises:
        OptionTypeError: a size is not a whole number.
        OptionError: a size is below 1.

    Example:
        >>> streams = continual(1, 20, generator=torch.Generator().manual_seed(2))
        >>> "".join(SYMBOLS[number] for number in streams.x[:, 0])
        'BTBPVVETEBTBTXSETEBP'

    Source:
        Gers, Schmidhuber & Cummins (2000), Learning to forget, Neural Computation 12(10), the continual embedded Reber
        grammar.
    """
    whole_number("continual", "batch_size", batch_size, 1)
    whole_number("continual", "steps", steps, 1)
    enough = -(-steps // MINIMAL_LENGTH)
    arcs, lengths = _walk(enough * batch_size, generator)
    following = arcs.roll(-1, 0)  # past its end each walk has begun anew, and all begin with B
    order = torch.arange(len(lengths)).view(enough, batch_size)
    return end_to_end(_as_sequences(arcs, following, lengths), order, resets=resets, steps=None if is_whole else steps)


def _walk(strings: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Walk through the grammar, all strings at once: the arcs taken (time, string), each string's number of symbols."""
    arcs = torch.zeros(0, strings, dtype=torch.int64)
    first = torch.zeros(strings, dtype=torch.int64)
    while True:
        further = torch.randint(2, (_STEPS_AT_ONCE, strings), generator=generator)
        for arc in further:
            arc += first
            first = _FIRST_ARC_AFTER[arc]
        arcs = torch.cat([arcs, further])
        is_last = _FIRST_ARC_AFTER[arcs] == 0
        if is_last.any(0).all():
            lengths = is_last.int().argmax(0) + 1
            return arcs[: int(lengths.max())], lengths


def _as_sequences(arcs: Tensor, following: Tensor, lengths: Tensor) -> Sequences:
    """Sequences of the symbols on these arcs, the targets being those on the following ones."""
    after = beyond(lengths, len(arcs))
    return Sequences(
        _SYMBOL[arcs].masked_fill_(after, 0),
        lengths,
        _SYMBOL[following].masked_fill_(after, -1),
        _ALLOWED_AFTER[arcs].masked_fill_(after[..., None], False),
    )


def _strings(sequences: Sequences) -> list[tuple[int, ...]]:
    """Each string's input symbols; they tell the string, for it always ends with E."""
    return [tuple(row[:length]) for row, length in zip(sequences.x.T.tolist(), sequences.lengths.tolist(), strict=True)]
