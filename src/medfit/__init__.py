"""medfit: experiment tracking for deep learning in medicine."""

__version__ = "0.1.0"
