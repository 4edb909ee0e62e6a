"""What is the expectation of this product? Pieces, terms and rules for Gaussian expectations, exact."""
