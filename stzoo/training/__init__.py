"""Training: objective, loop, stages and runs."""
