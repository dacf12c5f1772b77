"""WHAT WAS SEEN: from bytes to the flow and edge tables. Knows nothing of policies or clusters."""
