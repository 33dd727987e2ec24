"""What is decided from measurements: cuts, looks, the paired test, the verdict. Nothing trains."""
