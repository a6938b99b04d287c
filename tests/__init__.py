"""A package, so that no other one of this name, as some wheels install, is found in its place."""
