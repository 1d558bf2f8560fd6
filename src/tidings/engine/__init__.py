"""The loop that brings deliveries to receivers: the pure rules, driven by real time and I/O."""
