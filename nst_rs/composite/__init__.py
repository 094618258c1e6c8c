"""From bands to RGB: channels, stretch, the continuation into nodata, and clouds."""
