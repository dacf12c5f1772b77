"""WHAT SHOULD BE: from what was seen and what is there to the policies to have."""
