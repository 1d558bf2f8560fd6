"""What the rules and the engine ask of the world, as protocols with more than one answer."""
