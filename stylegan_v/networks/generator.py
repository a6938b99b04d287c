"""The generator: content noise and motion noise to a video at any times (StyleGAN-V, Skorokhodov et al. 2022).

Shape legend
    B, T    videos and frames of a video
    Z, C    dimension of the content noise and of the label
    L, K    codes of motion noise and the dimension of one
    Y, X    height and width: native, or of a window
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jaxtyping import Float, Int64, Real
from torch import Tensor, nn

from stylegan_v.networks.decoder import Decoder, DecoderInputs
from stylegan_v.networks.geometry import frame_size
from stylegan_v.networks.mapping import MappingNetwork
from stylegan_v.networks.motion import MotionEncoder
from stylegan_v.networks.motion_interface import Motion
from stylegan_v.networks.synthesis import NoiseMode, SynthesisNetwork, TimeConditioning
from stylegan_v.networks.temporal_modulation import TemporalModulation
from stylegan_v.noise import RandomSource


class Generator(nn.Module):
    """Content noise z, motion noise and times to frames.

    Args:
        resolution: Side of a square frame, or (height, width); each at least 16, powers of two run without cropping.
        z_dim: Dimension of the content noise.
        w_dim: Dimension of the styles.
        c_dim: Dimension of the label; 0 without labels.
        num_mapping_layers: Fully connected layers of the mapping network.
        motion: Motion noise to a time embedding; None builds a `MotionEncoder` with its defaults.
        time_conditioning: Where time enters: "concat_const" (StyleGAN-V), "concat_w" or "sum_w".
        motion_input: Whether the time embedding is joined to the constant input; None where ``time_conditioning``
            says so.
        channel_base: Channels at resolution r are ``min(channel_base // r, channel_max)``.
        channel_max: See ``channel_base``.
        conv_clamp: Largest absolute value of features; None leaves them free.
        noise_inputs: Whether noise is added to the features.
        temporal_modulation: What scales and shifts the features in time, by grids that are predicted for each video;
            None is nothing. It starts without effect.
        decoder: A class that draws frames at any size and in any window, such as `decoders.ConvField`; the sizes that
            it is given first are those of this network. None is none. It starts without effect at native size.
    """

    def __init__(
        self,
        resolution: int | tuple[int, int] = 256,
        *,
        z_dim: int = 512,
        w_dim: int = 512,
        c_dim: int = 0,
        num_mapping_layers: int = 2,
        motion: Motion | None = None,
        time_conditioning: TimeConditioning = "concat_const",
        motion_input: bool | None = None,
        channel_base: int = 16384,
        channel_max: int = 512,
        conv_clamp: float | None = 256.0,
        noise_inputs: bool = False,
        temporal_modulation: TemporalModulation | None = None,
        decoder: Callable[[DecoderInputs], Decoder] | None = None,
    ) -> None:
        super().__init__()
        motion = MotionEncoder(c_dim=c_dim) if motion is None else motion
        if motion.out_dim and motion.c_dim != c_dim:
            raise ValueError(f"generator c_dim {c_dim} and motion c_dim {motion.c_dim} must agree")
        self.z_dim, self.w_dim, self.c_dim = z_dim, w_dim, c_dim
        self.resolution = frame_size(resolution)
        self.synthesis = SynthesisNetwork(
            self.resolution,
            w_dim,
            motion,
            time_conditioning=time_conditioning,
            motion_input=motion_input,
            channel_base=channel_base,
            channel_max=channel_max,
            conv_clamp=conv_clamp,
            noise_inputs=noise_inputs,
            temporal_modulation=temporal_modulation,
        )
        self.num_ws = self.synthesis.num_ws
        self.mapping = MappingNetwork(z_dim, w_dim, c_dim, self.num_ws, num_mapping_layers)
        if decoder is not None:  # last, so that with it all else is drawn as without
            self.synthesis.add_decoder(decoder)

    @property
    def decoder(self) -> Decoder | None:
        """What draws frames at any size; None where there is none."""
        return self.synthesis.decoder

    def forward(
        self,
        z: Float[Tensor, "B Z"],
        t: Real[Tensor, "B T"],
        c: Float[Tensor, "B C"] | None = None,
        motion_z: Float[Tensor, "_ L K"] | None = None,
        *,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        update_w_avg: bool | None = None,
        first_code: int | Int64[Tensor, " B"] = 0,
        noise_mode: NoiseMode | None = None,
        random: RandomSource | None = None,
        size: Sequence | None = None,
        window: Sequence | None = None,
        shift: Sequence | None = None,
    ) -> Float[Tensor, "B T 3 Y X"]:
        """Frames, nominally in [-1, 1].

        Args:
            z: Content noise, one per video.
            t: Frame times in frames from the start of the video; any order, may be fractional.
            c: Labels.
            motion_z: Motion noise; drawn when None, may be larger than needed.
            truncation_psi: 1 leaves the styles, 0 replaces them by their mean.
            truncation_cutoff: Truncate only the first so many layers; None truncates all.
            update_w_avg: Whether the running mean style moves; None moves it in training mode.
            first_code: Number of the motion code that ``motion_z[:, 0]`` is, for all videos or for each.
            noise_mode: Of the noise inputs: "random", "const" or "none"; None is "random" in training, else "const".
            random: Where random noise inputs come from; None is torch's global generator.
            size: Height and width of whole frames in pixels, as for `SynthesisNetwork.forward`; needs a decoder.
            window: (y0, x0, y1, x1) in whole pixels of these frames, half open, as there.
            shift: By how many of these pixels (y, x) the places asked for are moved, as there.
        """
        ws = self.mapping(
            z, c, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff, update_w_avg=update_w_avg
        )
        where = {"size": size, "window": window, "shift": shift}
        return self.synthesis(ws, t, c, motion_z, first_code=first_code, noise_mode=noise_mode, random=random, **where)
