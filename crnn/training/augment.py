"""Small changes to words as they are trained on, made for the whole batch on its device."""

from __future__ import annotations

import torch
from torch.nn import functional

SHIFT, SCALE, SHEAR, TURN = 0.04, 0.06, 0.15, 0.03
CONTRAST, BRIGHTNESS, NOISE = 0.25, 0.15, 0.04


def light(images: torch.Tensor) -> torch.Tensor:
    """Return images (N, C, H, W) moved, sheared, turned and lit a little, with noise; values about
    -1 to 1.

    The draws come from PyTorch's random state, so a seed set before decides them.
    """
    count, _, height, width = images.shape
    uniform = torch.rand((8, count), device=images.device) * 2 - 1
    shift_x, shift_y, scale_x, scale_y, shear, turn, contrast, brightness = uniform
    # Coordinates run from -1 to 1 on both axes, so a turn has to know the image's shape.
    aspect = height / width
    rows = torch.stack(
        [1 + SCALE * scale_x, (SHEAR * shear - TURN * turn) * aspect, SHIFT * shift_x], dim=1
    )
    columns = torch.stack([TURN * turn / aspect, 1 + SCALE * scale_y, SHIFT * 2 * shift_y], dim=1)
    grid = functional.affine_grid(
        torch.stack([rows, columns], dim=1), list(images.shape), align_corners=False
    )
    moved = functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    lit = moved * (1 + CONTRAST * contrast).view(-1, 1, 1, 1) + (BRIGHTNESS * brightness).view(
        -1, 1, 1, 1
    )
    noise = torch.randn((count, 1, height, width), device=images.device) * NOISE
    return torch.clamp(lit + noise, -1, 1)
