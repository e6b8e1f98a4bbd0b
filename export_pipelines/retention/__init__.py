"""What is old is removed: exports, staging folders, imported files, records of runs and ticks."""
