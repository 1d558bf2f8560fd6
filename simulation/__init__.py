"""The deterministic world: the production code in virtual time, with faults drawn from a seed."""
