"""The official encoder built with dm-haiku on jax, as a process of its own: other tests copy theirs, and jax forbids that.

`python haiku_reference.py DEPTH WIDTH PROTOCOL FOLDER HEIGHTxWIDTH ...` writes `bare.pkl` (parameters and state) and, of
each size, pictures and features. `pads KERNEL STRIDE SIDE ...` prints what SAME means to jax.
"""

from __future__ import annotations

import functools
import json
import pickle
import sys
from pathlib import Path

import numpy as np

from relic_eval.encoders.names import DEPTHS

POOL = np.random.default_rng(7).standard_normal(1_000_003, dtype=np.float32)  # 250 million draws would take a minute


def encoder(depth, width):
    """A stem, four groups of bottlenecks of which each begins with a projection, and the mean over places."""
    import haiku as hk
    import jax

    class Torso(hk.Module):
        def __init__(self):
            super().__init__(name=f"res_net{depth}")
            norm = {"decay_rate": 0.9, "eps": 1e-5, "create_scale": True, "create_offset": True}
            self.conv = hk.Conv2D(64 * width, 7, stride=2, with_bias=False, padding="SAME", name="initial_conv")
            self.norm = hk.BatchNorm(name="initial_batchnorm", **norm)
            self.groups = [
                hk.nets.ResNet.BlockGroup(
                    channels=256 * 2**number * width,
                    num_blocks=blocks,
                    stride=2 if number else 1,
                    bn_config=norm,
                    resnet_v2=False,
                    bottleneck=True,
                    use_projection=True,
                    name=f"block_group_{number}",
                )
                for number, blocks in enumerate(DEPTHS[depth])
            ]

        def __call__(self, x, training):
            x = jax.nn.relu(self.norm(self.conv(x), training))
            x = hk.max_pool(x, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
            for group in self.groups:
                x = group(x, training, False)
            return x.mean((1, 2))

    return hk.without_apply_rng(hk.transform_with_state(lambda x, training=False: Torso()(x, training)))


def drawn(function, seed):
    """Parameters and statistics that are far from those of a fresh network, and keep pictures apart to the end."""
    import jax

    begin = functools.partial(function.init, training=True)  # that makes the statistics
    shapes = jax.eval_shape(begin, jax.random.PRNGKey(0), np.zeros((1, 64, 64, 3), np.float32))
    rng = np.random.default_rng(seed)

    def draw(module, name, leaf):
        if not leaf.shape:
            return np.full((), 5, leaf.dtype)
        numbers = np.resize(POOL[rng.integers(500_000) :], leaf.shape)
        if name == "w":
            return numbers * np.float32(np.sqrt(2 / np.prod(leaf.shape[:3])))
        if name == "scale":  # branches add to a sum that would otherwise grow block by block
            return (np.abs(numbers) + np.float32(0.4)) * np.float32(0.1 if module.endswith("_2") else 1)
        if module.endswith("var_ema"):
            return np.abs(numbers) + np.float32(0.5 if name == "average" else 2)
        return numbers * np.float32(0.1 if name in ("offset", "average") else 0.5)

    return [{m: {n: draw(m, n, leaf) for n, leaf in leaves.items()} for m, leaves in part.items()} for part in shapes]


def pictures(height, width):
    """Three of coarse squares of all colours, at three contrasts: noise alone looks alike to a mean over places."""
    rng = np.random.default_rng(height)
    coarse = rng.standard_normal((3, 5, 5, 3), dtype=np.float32) * np.float32([0.3, 1, 2])[:, None, None, None]
    return np.repeat(np.repeat(coarse, 20, 1), 20, 2)[:, :height, :width]


def main(depth, width, protocol, folder, *sizes):
    """Write the network and what it makes of pictures of these sizes."""
    function = encoder(int(depth), int(width))
    params, state = drawn(function, seed=int(depth) + int(width))
    with open(Path(folder) / "bare.pkl", "wb") as file:
        pickle.dump((params, state), file, protocol=int(protocol))
    for size in sizes:
        x_NHWC = pictures(*map(int, size.split("x")))
        np.save(Path(folder) / f"pictures-{size}.npy", x_NHWC)
        np.save(Path(folder) / f"features-{size}.npy", np.asarray(function.apply(params, state, x_NHWC)[0]))


def pads(kernel, stride, *sides):
    """Print how many pixels jax adds before and after each of these sides."""
    import jax

    steps = [int(stride)] * len(sides)
    print(json.dumps(jax.lax.padtype_to_pads([*map(int, sides)], [int(kernel)] * len(sides), steps, "SAME")))


if __name__ == "__main__":
    pads(*sys.argv[2:]) if sys.argv[1] == "pads" else main(*sys.argv[1:])
