"""The verbs: what people and programs can do with Tidings, through whichever face."""
