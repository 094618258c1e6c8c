"""Tiles on the workers of a Dask cluster. The only package that imports Dask."""
