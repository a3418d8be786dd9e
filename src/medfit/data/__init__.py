"""Data: data sets, readers of file formats, preprocessing, splits and batches."""
