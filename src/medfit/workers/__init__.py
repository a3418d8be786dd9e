"""Workers: processes, on one machine or several, that run the trials of a study."""
