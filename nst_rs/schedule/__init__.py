"""What a schedule needs between runs: what has arrived in an inbox, and what was made of it."""
