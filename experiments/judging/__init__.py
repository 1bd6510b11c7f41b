"""Studies in which people judge pictures: trials, the page, answers and statistics."""
