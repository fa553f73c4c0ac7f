"""Learn to write like Python's manual. Run it with `python examples/text.py`."""

import carrousel
from carrousel.datasets import python_manual

generator = carrousel.Generator(max_seconds=8, verbose=0)  # minutes write better
generator.fit(python_manual())  # a string, or paths: Generator().fit(["texts/*.txt"])
bits, counted = generator.metrics_["bits"], generator.metrics_["five_gram_bits"]
print(f"{bits:.2f} bits per character on the held-out end; counting 5-grams needs {counted:.2f}\n")
print(generator.generate("The statement ", length=200, temperature=0.7, seed=0))
