"""Tell handwritten digits apart, row by row. Run it with `python examples/handwriting.py`."""

from sklearn.model_selection import train_test_split

import carrousel
from carrousel.datasets import handwritten_digits

images, digits = handwritten_digits()  # (image, row, column): sequences may also be a list, each of its own length
x_train, x_test, y_train, y_test = train_test_split(images, digits, stratify=digits, random_state=0)

classifier = carrousel.Classifier(max_seconds=5, layout="NTC", verbose=0)  # scikit-learn's protocol
classifier.fit(x_train, y_train)
print(f"{classifier.score(x_test, y_test):.1%} of {len(y_test)} right")
print(classifier.predict(x_test[:5]), classifier.predict_proba(x_test[:1]).round(3))
