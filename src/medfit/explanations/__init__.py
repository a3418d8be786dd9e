"""Explanations of what a trained model predicts: a kind of data a file."""
