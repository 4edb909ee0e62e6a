"""What does SGD do? Exact reduced simulation, simulation in R^d, and statistics of samples."""
