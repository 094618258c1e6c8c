"""The map, and what is beside it, as rasters: GeoTIFFs with overviews, web tiles, the scene's bands."""
