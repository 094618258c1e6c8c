"""From bands to RGB: channels, stretch, what stands where there is no data, and clouds."""
