"""Functions of continuous coordinates, and the decoders that video models and fields share."""
