"""What the estimators reach with their default settings, beside what was published: a script for each task."""
