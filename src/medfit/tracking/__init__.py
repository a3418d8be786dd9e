"""Tracking: the only writers to MLflow."""
