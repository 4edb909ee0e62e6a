"""What does a linearisation imply? Roots, critical strengths, regimes and the law of the escape."""
