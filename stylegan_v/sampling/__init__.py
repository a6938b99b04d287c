"""What trained generators are asked for: which videos, which moments, how they are combined, and where they go."""
