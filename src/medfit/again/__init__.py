"""A finished training done again: with the code that it had, beside what it recorded."""
