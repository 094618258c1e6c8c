"""The descent of one level: rounds, steps, states, and how a killed run goes on."""
