"""HOW IS IT TOLD: a Recommendation as Markdown, JSON and a terminal table. Pure functions, no decisions."""
