"""From a finished picture to files: the map and its companions."""
