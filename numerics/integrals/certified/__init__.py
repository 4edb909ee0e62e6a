"""Numbers that are proved: every result is an interval that contains the true value."""
