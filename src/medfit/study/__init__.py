"""A study: a search in which each trial is a training."""
