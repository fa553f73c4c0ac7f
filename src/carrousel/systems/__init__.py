"""The learning systems of the papers, each a population of networks that learn side by side."""
