"""What a data set holds, told without a single patient."""
