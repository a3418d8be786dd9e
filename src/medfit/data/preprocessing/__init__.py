"""Preprocessing, one kind of data a file."""
