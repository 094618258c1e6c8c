"""Who computes the tiles: this process, or the workers of a cluster."""
