"""Who trains a study: workers, and the engines that place them."""
