"""What to learn: the artificial tasks of the papers, as batches."""
