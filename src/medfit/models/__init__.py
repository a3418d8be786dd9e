"""Model families, one a file, each a plain ``nn.Module``."""
