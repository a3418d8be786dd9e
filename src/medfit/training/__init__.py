"""Training: the trainer, and what the hardware asks for."""
