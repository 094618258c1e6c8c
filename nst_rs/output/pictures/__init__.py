"""Small pictures: a preview, a sheet of several, an animation, the map on the way."""
