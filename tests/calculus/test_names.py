"""Names that a definition can not give, and fresh ones."""

import pytest

from carrousel.calculus.names import clash, fresh


@pytest.mark.parametrize("name", ["h", "d", "a_i", "del_", "ddx", "Wx", "outer2", "T"])
def test_free(name: str) -> None:
    assert clash(name, {"x", "h_prev", "W"}) is None


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("tanh", "tanh is a function of carrousel.functions"),
        ("inf", "inf is a name that the generated kernels use themselves"),
        ("__x", "__x begins with an underscore; such names belong to the generated kernels"),
        ("ef", "the derivative of the loss by ef would be called def, which is a word of Python"),
        ("dx", "dx is the name of an adjoint: the derivative of the loss by x"),
        ("q", "the derivative of the loss by q would be called dq, and that name is taken"),
    ],
)
def test_clash(name: str, wrong: str) -> None:
    assert clash(name, {"x", "dq"}) == wrong


def test_fresh() -> None:
    assert fresh("a_h", set()) == "a_h"
    assert fresh("a_h", {"a_h", "a_h2"}) == "a_h3"
    assert fresh("a_h", {"da_h"}) == "a_h2"
