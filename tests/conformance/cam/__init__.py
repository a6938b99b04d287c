"""Recordings of CAM, a module per file: `SECTIONS` names what is tested of it."""
