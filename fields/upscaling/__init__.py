"""Images and videos at any size, by a model of continuous images: tiles, files in and out, and the command."""
