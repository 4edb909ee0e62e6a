"""How does the state move? Compiled velocities, surrogates, integration, stages and diffusion."""
