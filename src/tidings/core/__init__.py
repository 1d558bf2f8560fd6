"""The rules of delivery: plain functions and values, without I/O, clock or randomness."""
