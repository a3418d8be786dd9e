"""The kinds of target, one class each; :mod:`medfit.evidence.predictions` has their contract."""
