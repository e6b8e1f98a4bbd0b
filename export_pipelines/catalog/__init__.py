"""The shop: its tables, its keys, and the sample data that fills them."""
