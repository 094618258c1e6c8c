"""The TensorFlow island: NumPy arrays in, NumPy arrays out. Nothing outside this package imports TensorFlow."""
