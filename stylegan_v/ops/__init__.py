"""Operations on images: resampling, modulated convolution, bias with activation. Leaves of the house."""
