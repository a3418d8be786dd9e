"""Statistics on stored predictions and baselines; no torch in here."""
