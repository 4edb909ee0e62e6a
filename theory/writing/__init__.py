"""How is a derivation written down? Documents in LaTeX, their words, and the sources of what they use."""
