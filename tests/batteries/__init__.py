"""What must hold for every entry of the registry and for every model: a new one is tested by being there."""
