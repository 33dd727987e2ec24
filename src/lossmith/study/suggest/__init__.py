"""Which losses are likely to beat the default on a table, from what a table says of itself."""
