"""Where pixels lie on the ground and on the globe."""
