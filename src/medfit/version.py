"""The version of medfit, in a module of its own, which all others may import."""

VERSION = "0.1.0"
