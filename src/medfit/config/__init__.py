"""Configs: composed by Hydra, checked against signatures, built."""
