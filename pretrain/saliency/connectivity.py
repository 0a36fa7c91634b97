"""The maker `rbd`: robust background detection (Zhu, Liang, Wei, Sun, CVPR 2014, "Saliency Optimization from Robust ...").

A region is background where it is widely connected to the border of the picture: length along the border over the root of the area,
both soft and along geodesic distances in colour. Contrast is weighted by that, and a quadratic cost puts both together.

Taken from the paper: sigma_clr 10, sigma_bndcon 1, sigma_spa 0.25, mu 0.1. Taken from the authors' published code, which does more than
the paper says: small steps are cut by the mean least distance among two rings of neighbours before geodesics are summed; weights beyond
three sigma are 0; contrast below Otsu's threshold is 0; the background term counts five times, and a thousand for a boundary
connectivity above 3; smoothness links two rings of neighbours and the border superpixels. Different from that code: sigma_clr is fixed
(there it adapts, by little as they say); the SLIC is scikit-image's, on contrast-stretched pictures; colours are means in CIE-Lab, not the
Lab of mean RGB; superpixels are as many as pictures of 128 pixels need, and in proportion to the side elsewhere; picture frames are not sought.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from pretrain.saliency.extra import need
from pretrain.saliency.threshold import to_masks, unit

SUPERPIXELS = 200 / 128  # for each pixel of the side
COMPACTNESS = 20.0
BAND = 0.02  # of the side: what counts as border; 8 of 400 pixels in the authors' code
SIGMA_COLOUR, SIGMA_CONNECTIVITY, SIGMA_SPACE = 10.0, 1.0, 0.25
MU, BACKGROUND, CERTAIN, CERTAINLY = 0.1, 5.0, 3.0, 1000.0
SETTINGS = {
    "superpixels": SUPERPIXELS,
    "compactness": COMPACTNESS,
    "band": BAND,
    "sigma": [SIGMA_COLOUR, SIGMA_CONNECTIVITY, SIGMA_SPACE],
    "mu": MU,
    "background": [BACKGROUND, CERTAIN, CERTAINLY],
}


@dataclass(frozen=True)
class Regions:
    """The S superpixels of a picture: mean colours in CIE-Lab, centres as shares of the sides, neighbours, which are border."""

    lab_S3: np.ndarray
    place_S2: np.ndarray
    near_SS: np.ndarray  # bool, symmetric, False on the diagonal
    edge_S: np.ndarray  # bool


def rbd(pixels_NHWC: np.ndarray) -> np.ndarray:
    """Robust background detection (Zhu et al. 2014): contrast to regions that are widely connected to the border.

    Saliency (N, H, W), from 0 to 1 in each picture.
    """
    slic = need("skimage.segmentation", "rbd").slic
    rgb2lab = need("skimage.color", "rbd").rgb2lab
    high, wide = pixels_NHWC.shape[1:3]
    count = max(4, round(SUPERPIXELS * (high * wide) ** 0.5))
    out = np.zeros(pixels_NHWC.shape[:3], np.float32)
    with threadpool_limits(1):  # small matrices: threads cost more than they save, and would change the last bits
        for row, pixels in enumerate(pixels_NHWC):
            if (pixels == pixels[0, 0]).all():
                continue  # of one colour: only rounding would differ
            rgb = np.repeat(pixels, 3, 2) if pixels.shape[2] == 1 else pixels
            label_HW = slic(rgb, count, compactness=COMPACTNESS, start_label=0, channel_axis=-1)
            out[row] = region_saliency(regions_of(rgb2lab(rgb), label_HW))[label_HW]
    return unit(out)


def regions_of(lab_HW3: np.ndarray, label_HW: np.ndarray) -> Regions:
    """What is measured of the superpixels with numbers 0 to S - 1."""
    (high, wide), size_S = label_HW.shape, np.bincount(label_HW.ravel())

    def mean(values_HW: np.ndarray) -> np.ndarray:
        return np.bincount(label_HW.ravel(), values_HW.ravel()) / size_S

    row_HW, column_HW = np.mgrid[:high, :wide]
    near_SS = np.zeros((len(size_S), len(size_S)), bool)
    for a, b in ((label_HW[1:], label_HW[:-1]), (label_HW[:, 1:], label_HW[:, :-1])):
        near_SS[a, b] = near_SS[b, a] = True
    np.fill_diagonal(near_SS, False)
    band = max(1, round(BAND * min(high, wide)))
    edge_HW = np.ones(label_HW.shape, bool)
    edge_HW[band : high - band, band : wide - band] = False
    edge_S = np.bincount(label_HW[edge_HW], minlength=len(size_S)) > 0
    lab_S3 = np.stack([mean(lab_HW3[..., c]) for c in range(3)], 1)
    return Regions(lab_S3, np.stack([mean(row_HW) / high, mean(column_HW) / wide], 1), near_SS, edge_S)


def region_saliency(regions: Regions) -> np.ndarray:
    """Saliency (S,) of the superpixels: boundary connectivity, weighted contrast, and the least cost of both."""
    colour_SS = distances(regions.lab_S3)
    connectivity_S = boundary_connectivity(geodesics(colour_SS, regions.near_SS, regions.edge_S), regions.edge_S)
    background_S = 1 - np.exp(-(connectivity_S**2) / (2 * SIGMA_CONNECTIVITY**2))
    contrast_S = contrast(colour_SS, distances(regions.place_S2), background_S)
    matrix_SS, right_S = equations(colour_SS, regions, background_weight(background_S, connectivity_S), contrast_S)
    return np.linalg.solve(matrix_SS, right_S)


def distances(points_SD: np.ndarray) -> np.ndarray:
    """Euclidean distances (S, S)."""
    return np.sqrt(((points_SD[:, None] - points_SD[None]) ** 2).sum(2))


def closeness(distance_SS: np.ndarray, sigma: float) -> np.ndarray:
    """exp(-d^2 / (2 sigma^2)), and 0 beyond three sigma.

    >>> closeness(np.array([0.0, 30.1]), 10.0).tolist()
    [1.0, 0.0]
    """
    return np.where(distance_SS > 3 * sigma, 0.0, np.exp(-(distance_SS**2) / (2 * sigma**2)))


def two_rings(near_SS: np.ndarray) -> np.ndarray:
    """Neighbours, and neighbours of neighbours; the diagonal is False."""
    reached_SS = near_SS | (near_SS.astype(np.float32) @ near_SS > 0)
    np.fill_diagonal(reached_SS, False)
    return reached_SS


def geodesics(colour_SS: np.ndarray, near_SS: np.ndarray, edge_S: np.ndarray) -> np.ndarray:
    """Length (S, S) of the shortest ways from neighbour to neighbour; border superpixels are neighbours of each other.

    A step is its distance in colour less what neighbours differ by anyway, the mean of each one's least distance within two rings.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import floyd_warshall

    least_S = np.where(two_rings(near_SS), colour_SS, np.inf).min(1)
    usual = least_S[np.isfinite(least_S)].mean() if np.isfinite(least_S).any() else 0.0
    linked_SS = near_SS | (edge_S[:, None] & edge_S[None])
    np.fill_diagonal(linked_SS, False)
    from_E, to_E = np.nonzero(linked_SS)
    # a sparse graph keeps steps of length 0, which a dense one takes for none
    graph = csr_array((np.maximum(0, colour_SS[from_E, to_E] - usual), (from_E, to_E)), colour_SS.shape)
    return floyd_warshall(graph)


def boundary_connectivity(geodesic_SS: np.ndarray, edge_S: np.ndarray) -> np.ndarray:
    """Length along the border over the root of the area, both soft, (S,).

    >>> boundary_connectivity(np.zeros((4, 4)), np.array([True, True, False, False])).tolist()  # 2 / sqrt(4)
    [1.0, 1.0, 1.0, 1.0]
    """
    weight_SS = closeness(geodesic_SS, SIGMA_COLOUR)
    return weight_SS[:, edge_S].sum(1) / np.sqrt(weight_SS.sum(1))


def contrast(colour_SS: np.ndarray, space_SS: np.ndarray, background_S: np.ndarray) -> np.ndarray:
    """Distance in colour to near superpixels that are background, from 0 to 1; below Otsu's threshold 0. Shape (S,)."""
    value_S = unit(((colour_SS * closeness(space_SS, SIGMA_SPACE)) @ background_S)[None, None])
    return np.where(to_masks(value_S), value_S, 0)[0, 0].astype(np.float64)


def background_weight(background_S: np.ndarray, connectivity_S: np.ndarray) -> np.ndarray:
    """How much it costs to be salient: the probability of background, five times; much more where it is certain."""
    return BACKGROUND * np.where(connectivity_S > CERTAIN, CERTAINLY, background_S)


def equations(
    colour_SS: np.ndarray, regions: Regions, cost_S: np.ndarray, contrast_S: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (S, S) and right side (S,) whose solution s makes the cost least:

    sum_i cost_i s_i^2 + sum_i contrast_i (s_i - 1)^2 + sum_(i<j) w_ij (s_i - s_j)^2, with w_ij = exp(-d_ij^2 / (2 sigma_clr^2)) within two
    rings and on the border, and mu more between neighbours.
    """
    linked_SS = two_rings(regions.near_SS) | (regions.edge_S[:, None] & regions.edge_S[None])
    weight_SS = np.where(linked_SS, closeness(colour_SS, SIGMA_COLOUR), 0) + MU * regions.near_SS
    np.fill_diagonal(weight_SS, 0)
    return np.diag(weight_SS.sum(1) + cost_S + contrast_S) - weight_SS, contrast_S
