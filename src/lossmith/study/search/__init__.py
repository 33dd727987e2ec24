"""What a study trains next, and what it measures: trials, scores and the loop over both."""
