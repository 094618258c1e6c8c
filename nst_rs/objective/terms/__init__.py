"""The terms of the objective: one module each, and the list of them in registry.py."""
