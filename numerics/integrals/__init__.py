"""What is its value? Quadrature, series and evaluation of what theory derived."""
