"""The search: its space, values, sampler, objectives and starting points."""
