"""What lies on disk beside rasters: arrays, locks, workspaces, small documents."""
