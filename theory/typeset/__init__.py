"""How is it set? LaTeX as text, which knows no physics."""
