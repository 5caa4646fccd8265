"""From a recipe to bundles: objective, optimisation loop, stages and runs."""
