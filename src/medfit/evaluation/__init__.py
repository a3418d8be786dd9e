"""Evaluation: trainings over seeds and folds, and the baselines beside them."""
