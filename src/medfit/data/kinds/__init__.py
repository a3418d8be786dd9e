"""What depends on the kind of data, a kind a file."""
