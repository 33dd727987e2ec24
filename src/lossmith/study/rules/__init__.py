"""How a study decides: comparisons of candidates, the paired test, keep or switch."""
