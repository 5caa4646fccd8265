"""The recipes that ship with stzoo: one TOML file decides one training run."""
