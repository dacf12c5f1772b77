"""IS IT RIGHT: replay, diff and what is let in besides. Each asks the judge; none matches labels on its own."""
