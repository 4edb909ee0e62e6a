"""Every figure against closed forms, independent quadrature, and an integration of its own."""
