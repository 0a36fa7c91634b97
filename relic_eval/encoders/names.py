"""What networks are called. Asking imports no torch."""

from __future__ import annotations

import re

from relic_eval.errors import UnknownNameError

DEPTHS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
    295: (3, 36, 55, 3),  # chosen: the published layout is not stated, and this has its 87 million parameters
}
SAME = (50, 101, 152, 200)  # depths of the official checkpoints, whose padding is Haiku's
NETWORKS = ("thin-resnet", *(f"resnet{depth}" for depth in DEPTHS))
BESIDES = (
    ", each with -2x or -4x for the width, the latter with -32px for small pictures, "
    "those of 50 to 200 layers with -same for Haiku's padding; or timm:MODEL"
)


def check_network(name: str) -> str:
    """The name, or an UnknownNameError.

    >>> check_network("resnet50-2x-32px")
    'resnet50-2x-32px'
    """
    depths, same = "|".join(map(str, DEPTHS)), "|".join(map(str, SAME))
    if not re.fullmatch(
        rf"thin-resnet(-[24]x)?|resnet({depths})(-[24]x)?(-32px)?|resnet({same})(-[24]x)?-same|timm:\w[\w.]*", name
    ):
        raise UnknownNameError("network", name, NETWORKS, BESIDES)
    return name
