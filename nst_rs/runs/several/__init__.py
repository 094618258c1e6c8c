"""Several maps at once, to compare: sweeps over settings, sheets of styles and presets."""
