"""The state that a schedule needs between runs: the scenes that have arrived in an inbox, and their maps."""
