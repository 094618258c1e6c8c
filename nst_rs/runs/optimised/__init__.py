"""The picture that the optimiser finds: its job, its levels from coarse to fine, its small pictures on the way."""
