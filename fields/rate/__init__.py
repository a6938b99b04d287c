"""What a field costs as a file, as a function that can be minimised: steps, symbols and their bits."""
