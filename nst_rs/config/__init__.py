"""One run as data: the sections of a configuration, and how it is read, changed and explained."""
