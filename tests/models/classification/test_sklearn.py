"""scikit-learn's own checks of an estimator, where X is an array (N, T) of series."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from carrousel.models.classification.classifier import Classifier

#: What does not apply to sequences, and why.
NOT_FOR_SEQUENCES = {
    "check_n_features_in": "n_features_in_ counts channels; the columns of (N, T) are steps, of one channel",
    "check_n_features_in_after_fitting": "series of any length are predicted, other columns are other lengths",
    "check_classifiers_train": "series of any length are predicted: it expects an error there",
    "check_dtype_object": "errors in data are DataError, a ValueError; it expects a TypeError",
}

SMALL = Classifier(
    hidden_size=4, num_layers=1, epochs=10, lr=0.03, batch_size=16, dropout=0.0, shift=0.0, val_fraction=0.0, verbose=0
)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([SMALL], expected_failed_checks=lambda estimator: NOT_FOR_SEQUENCES)
def test_check_estimator(estimator, check):
    check(estimator)
