"""The benchmarks: programs that measure Tidings and print a table."""
