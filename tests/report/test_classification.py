"""The page of a classifier."""

import numpy as np
import pytest

from carrousel.report.accuracy import confusions, rows, verdict
from carrousel.report.classification import classification_page
from carrousel.report.learning import Learned
from carrousel.report.page import render


def scores(confusion, **changed):
    matrix = np.array(confusion)
    count, right = matrix.sum(), np.diag(matrix)
    recall, precision = right / matrix.sum(1), right / np.maximum(matrix.sum(0), 1)
    names = [f"<class {k}>" for k in range(len(matrix))]
    return {
        "count": int(count),
        "accuracy": float(right.sum() / count),
        "balanced_accuracy": float(recall.mean()),
        "log_loss": 0.25,
        "majority_class": names[0],
        "majority_accuracy": float(matrix[0].sum() / count),
        "majority_balanced_accuracy": 1 / len(matrix),
        "per_class": [
            {"class": name, "precision": float(p), "recall": float(r), "f1": 0.5, "count": int(n)}
            for name, p, r, n in zip(names, precision, recall, matrix.sum(1), strict=True)
        ],
        "confusion": matrix.tolist(),
        **changed,
    }


GOOD = scores([[8, 2, 0], [0, 6, 1], [0, 0, 3]])
CURVE = [(1.0, 0.9, 0.8), (2.0, 0.5, 0.6), (3.0, 0.3, 0.7)]
LEARNED = Learned(CURVE, "3 epochs")


def test_the_table_has_the_majority_beside_the_net():
    assert rows(GOOD) == [
        ("always <class 0>, the commonest", "50.0 %", "33.3 %", ""),
        ("this net", "85.0 %", "88.6 %", "0.250"),
    ]


def test_worst_confusions_come_first_and_right_ones_never():
    assert confusions(GOOD) == [("<class 0>", "<class 1>", 2), ("<class 1>", "<class 2>", 1)]
    assert confusions(GOOD, limit=1) == [("<class 0>", "<class 1>", 2)]
    assert confusions(scores([[2, 0], [0, 2]])) == []


def test_the_verdict_is_plain():
    assert verdict(GOOD).startswith("The net is right in 85.0 % of 20 (95 % interval 64.0 to 94.8 %)")
    assert "NOT better" in verdict({**GOOD, "accuracy": 0.5})


def test_a_net_that_is_no_better_is_marked():
    page = classification_page("t", [], {"test": {**GOOD, "accuracy": 0.5}, "validation": GOOD}, LEARNED)
    test, validation = page.sections[0].cards
    assert test.is_marked
    assert not validation.is_marked


def test_the_page_shows_everything_and_escapes_names():
    html = render(classification_page("<t>", ["20 sequences"], {"test": GOOD}, LEARNED))
    for text in ("&lt;t&gt;", "20 sequences", "3 epochs", "&lt;class 1&gt;", "What it confuses", "Learning curve"):
        assert text in html
    assert "<class 1>" not in html
    assert html.count("<svg") == 2


def test_a_matrix_of_very_many_classes_is_not_drawn():
    many = scores(np.eye(61, dtype=int))
    titles = [p.title for s in classification_page("t", [], {"test": many}, LEARNED).sections for p in s.pictures]
    assert titles == ["Learning curve"]


@pytest.mark.parametrize("curve", [[], CURVE])
def test_without_anything_held_out_it_says_so(curve):
    page = classification_page("t", [], {}, Learned(curve))
    assert [section.title for section in page.sections] == ["How often it is right", "How it was learned"]
    assert "it is not known" in page.sections[0].text[0]
