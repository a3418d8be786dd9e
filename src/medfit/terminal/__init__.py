"""The terminal: what is said and shown there."""
