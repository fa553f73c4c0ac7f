"""Every tolerance of the suite, each with its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """The largest difference that is allowed.

    Attributes:
        atol: how much two values may differ, times the largest value where the test says so.
        reason: why not less.
    """

    atol: float
    reason: str


TOLERANCES = {
    "layers": Tolerance(1e-12, "float64 adds the same terms in another order, over 20 steps; times the largest value"),
    "layers in float32": Tolerance(1e-6, "the same in float32, over four steps: 8 eps times the largest value"),
    "layers in float16": Tolerance(8e-3, "the same in float16, over four steps: 8 eps times the largest value"),
    "layers in bfloat16": Tolerance(6e-2, "the same in bfloat16, over four steps: 8 eps times the largest value"),
    "adjoint": Tolerance(
        1e-12, "float64 adds the same terms in another order, over five steps; times the largest value"
    ),
    "derivative": Tolerance(1e-14, "one function in float64: a handful of roundings; times the largest value"),
    "second derivative": Tolerance(1e-13, "the same, of 1 - y**2 for y up to 0.995; times the largest value"),
    "printing": Tolerance(1e-12, "float64 with terms in another order, which may cancel"),
    "operations": Tolerance(1e-13, "float64 operations in the order of the kernel, not of the line"),
    "published": Tolerance(1e-12, "float64, five steps, the same equations in another order"),
    "onnxruntime": Tolerance(1e-6, "float32 with the vendor's own exp; values stay below one"),
    "float64": Tolerance(1e-12, "the oracle walks row by row and adds gradients in another order, over 64 steps"),
    "float32": Tolerance(2e-5, "float32 against float64 over 64 steps; times the largest value"),
    "as torch": Tolerance(2e-7, "what float32 may add to 1.5 times torch's own error: 3 eps of the largest value"),
    "bfloat16": Tolerance(1e-2, "computed in float32; results, and the sums of two directions, rounded to 2**-8"),
    "functions that saturate": Tolerance(2e-6, "with 10 times torch's error: what is saturated has lost its digits"),
    "kernels": Tolerance(1e-11, "float64, terms in another order, through definitions that may cancel; largest value"),
}
