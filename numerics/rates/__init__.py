"""How long is the search? Rates and times of a linearisation in numbers."""
