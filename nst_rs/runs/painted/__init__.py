"""The picture that a learned style paints: its job, the pass over the scene, parts on demand."""
