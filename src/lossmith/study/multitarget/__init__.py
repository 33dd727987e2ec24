"""Several targets of one table, served by one model: which losses, and how to weigh them."""
