"""Tell sequences apart: from rows and recordings to a fitted network and its scores."""
