"""Tasks: all that depends on the kind of target."""
