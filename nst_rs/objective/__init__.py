"""What is minimised: terms, moments that add up over tiles, and the objective at one level."""
