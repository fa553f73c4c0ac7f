"""Train a cell of your own on handwriting. Run it with `python examples/own_cell.py`.

On the command line: `carrousel classify DATA --cell examples/own_cell.py:minimal_gated`.
"""

import carrousel
from carrousel import cell
from carrousel.functions import sigmoid, tanh


@cell
def minimal_gated(x, h_prev, W, R, b):
    """Minimal gated unit: one gate. Source: Zhou et al. (2016)."""
    f = sigmoid(W.f @ x + R.f @ h_prev + b.f)
    z = tanh(W.z @ x + R.z @ (f * h_prev) + b.z)
    h = (1 - f) * h_prev + f * z
    return h


if __name__ == "__main__":
    from carrousel.datasets import handwritten_digits

    images, digits = handwritten_digits()
    for chosen in ("lstm", minimal_gated):
        classifier = carrousel.Classifier(cell=chosen, max_seconds=4, layout="NTC", verbose=0)
        classifier.fit(images[:1200], digits[:1200])
        name = chosen if isinstance(chosen, str) else chosen.name
        print(f"{name}: {classifier.score(images[1200:], digits[1200:]):.1%} right")
