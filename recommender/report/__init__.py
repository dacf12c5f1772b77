"""HOW IS IT TOLD: a Recommendation as Markdown, JSON and lines of text; ``place.py`` alone writes files."""
