"""What every room of the study stands on: errors, results, formatting, directions, time."""
