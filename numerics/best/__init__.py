"""What is best? Alignment, stopping time of pre-training, and maps of the regimes."""
