"""Learned styles: the network's geometry, its file, and how a scene is cut for it. NumPy only."""
