"""What both databases have in common: the statements, and the transactions around them."""
