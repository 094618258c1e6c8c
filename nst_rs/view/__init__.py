"""A finished map in the browser."""
