"""What one picture costs an encoder: multiply-adds, counted while it runs."""

from __future__ import annotations

import warnings
from typing import Any

from relic_eval.progress import warn


def gflops(module: Any, channels: int, side: int, device: str = "cpu") -> float | None:
    """10^9 multiply-adds of one forward pass of a picture (1, channels, side, side); None of anything but a torch module.

    Counted as papers do, one for a multiplication with its addition: ResNet-50 has 4.1 at 224 pixels. They are those of
    convolutions, linear layers and attention; torch's counter, which says two for each, sees no other.

    >>> import torch; gflops(torch.nn.Conv2d(3, 10, 1, bias=False), 3, 100)  # 3 * 10 * 100 * 100
    0.0003
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    if not isinstance(module, torch.nn.Module):
        return None
    counter, fast = FlopCounterMode(display=False), torch.backends.mha.get_fastpath_enabled()
    # fused attention hides its products from the counter
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings(), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
            warnings.simplefilter("ignore")
            module(torch.zeros(1, channels, side, side, device=device))
    except (RuntimeError, NotImplementedError) as error:
        warn(f"GFLOPs are not known: torch's counter cannot follow the encoder ({' '.join(str(error).split())[:120]}).")
        return None
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return counter.get_total_flops() / 2e9
