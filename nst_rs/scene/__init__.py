"""From files to one scene on one grid: products, sensors, metadata, windows of pixels. Nothing is composed here."""
