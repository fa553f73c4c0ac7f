"""Sequences that come with the package."""
