"""Self-contained pages: a template, and figures that are read on a phone and in the dark."""
