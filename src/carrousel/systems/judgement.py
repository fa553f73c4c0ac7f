"""When the outputs of a step are wrong."""

from dataclasses import dataclass

from torch import Tensor

from carrousel.backends.llvm.judgement import JUDGEMENTS
from carrousel.errors import OptionError
from carrousel.systems import readout

__all__ = ["Judgement"]


@dataclass(frozen=True)
class Judgement:
    """Outputs are wrong where what is made of their errors is not below a bound; where nothing is asked all are right.

    Args:
        of: the errors' "sum of squares", or the "largest" one.
        within: the bound.

    Raises:
        OptionError: there is no such judgement.

    Example:
        >>> import torch
        >>> is_wrong = Judgement("largest", 0.3)
        >>> is_wrong(torch.tensor([[0.9, 0.2], [0.9, 0.4], [0.9, 0.4]]), torch.tensor([0, 0, -1])).tolist()
        [False, True, False]
    """

    of: str
    within: float

    def __post_init__(self) -> None:
        if self.of not in JUDGEMENTS:
            expected = " or ".join(repr(name) for name in JUDGEMENTS)
            raise OptionError(f"Judgement - of is {self.of!r}, expected {expected} - name one of them")

    def __call__(self, y: Tensor, target: Tensor) -> Tensor:
        """Judge outputs (..., output) by targets of their shape, or by numbers of outputs (...); returns (...)."""
        error = readout.deviations(y, target)
        size = error.square().sum(-1) if self.of == "sum of squares" else error.abs().amax(-1)
        return readout.misses(size, self.within)
