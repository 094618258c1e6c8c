"""Levels, tiles and windows, and how pictures pass from one level to the next. No network, no raster files."""
