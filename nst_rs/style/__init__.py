"""What is imitated: the style images, their strokes, and whose colours the map has."""
