"""Data sets: one source or format a file."""
