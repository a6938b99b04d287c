"""How near a reconstructed video is to the original, frame by frame: PSNR, SSIM, LPIPS, FLIP.

Every measure takes frames of RGB in [0, 1] and returns one figure per frame. A video's figure is their mean, a data
set's the mean and spread over videos: the convention of NVP and its baselines on UVG.
"""
