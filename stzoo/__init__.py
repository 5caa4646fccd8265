"""A model zoo for video action recognition with learnt spatiotemporal fusion."""
