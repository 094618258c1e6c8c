"""One run from files to files: preparation, the two ways to a picture, the finish; learning, sweeps, the record."""
