"""External validation: a finished model on the patients of another data set."""
