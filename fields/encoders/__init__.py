"""Networks that turn a low-resolution image into a grid of features: what continuous images are decoded from.

Each takes images in [-1, 1] ``[B, 3, h, w]`` and says ``out_dim``, the channels it gives, and ``receptive_field``, how
many pixels beyond each side of a place its features depend on (None where that is the whole image). Without ``upscale``
the features have the image's size; with it, a fixed tail ends in an image of that many times the size.

Names of parameters are those of the published weights, so that files go in and out without a table.
"""

from fields.encoders.edsr import EDSR
from fields.encoders.rcan import RCAN
from fields.encoders.rdn import RDN

__all__ = ["EDSR", "RCAN", "RDN"]
