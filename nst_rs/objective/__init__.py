"""The objective: its terms, the moments that add up over tiles, and the problem at one level."""
