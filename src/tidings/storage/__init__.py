"""The databases behind the store port, one package each; and what they share."""
