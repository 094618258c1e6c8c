"""Measures of a finished map: edges and seams, flat areas, borders between classes, agreement with earlier maps."""
