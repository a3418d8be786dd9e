"""Figures of predictions, trainings and studies."""
