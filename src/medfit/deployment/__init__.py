"""Deployment: a finished model as files, in MLflow and at work on new patients."""
