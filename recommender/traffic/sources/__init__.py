"""Where the bytes of flow logs come from."""
