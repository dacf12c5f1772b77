"""WHAT IS ALLOWED: NetworkPolicy as values, as YAML, and as verdicts. Knows no traffic and no clusters."""
