"""Which function is meant? From text to activations, their Hermite coefficients and labels."""
