"""The experiments of the papers: published numbers on top, the settings as the paper states them, one call."""
