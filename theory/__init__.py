"""What can be derived: SymPy in, SymPy out, exact."""
