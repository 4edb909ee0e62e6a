"""How does it move? Vectors, models, population loss, system and linearisation."""
