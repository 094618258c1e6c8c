"""Measurements of this machine and this program, as ratios taken in one run: ``make bench``."""
