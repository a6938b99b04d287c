"""Operations on images: resampling, modulated convolution, bias with activation. Leaves: nothing here imports the project."""
