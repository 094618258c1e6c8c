"""From a finished picture to files: the map, and all that is written beside it."""
