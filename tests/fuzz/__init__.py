"""Mutated files for everything that reads one: `make fuzz`."""
