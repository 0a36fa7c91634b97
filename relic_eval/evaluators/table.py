"""The evaluators, listed by hand, and the protocols: one evaluator each with every setting frozen, under a name."""

from __future__ import annotations

import dataclasses
from typing import Any

from relic_eval.evaluators.blocks import Blocks
from relic_eval.evaluators.cluster import Cluster
from relic_eval.evaluators.discriminability import Discriminability
from relic_eval.evaluators.elsewhere import Elsewhere
from relic_eval.evaluators.fewshot import FewShot
from relic_eval.evaluators.knn import Knn
from relic_eval.evaluators.logistic import Logistic
from relic_eval.evaluators.map import Map
from relic_eval.evaluators.multiview import MultiView
from relic_eval.evaluators.retrieval import Retrieval
from relic_eval.evaluators.ridge import Ridge
from relic_eval.evaluators.robust import Robust
from relic_eval.evaluators.sgd import Sgd
from relic_eval.evaluators.shots import Shots
from relic_eval.evaluators.spectrum import Spectrum

EVALUATORS: dict[str, type] = {
    "logistic": Logistic,
    "knn": Knn,
    "blocks": Blocks,
    "discriminability": Discriminability,
    "fewshot": FewShot,
    "sgd": Sgd,
    "ridge": Ridge,
    "retrieval": Retrieval,
    "spectrum": Spectrum,
    "multiview": MultiView,
    "shots": Shots,
    "cluster": Cluster,
    "robust": Robust,
    "elsewhere": Elsewhere,
    "map": Map,
}
PROTOCOLS: dict[str, Any] = {
    "linear-byol": Logistic(),
    "robust": Robust(),  # these two stand here since they share the fit of the first
    "robust-sets": Elsewhere(),
    "fewshot-5": FewShot(shots=5),
    "knn": Knn(),
    "blocks": Blocks(),
    "discriminability": Discriminability(),
    "linear-imagenet": Sgd(),
    "ridge": Ridge(),
    "knn-dino": Knn(ks=(10, 20, 100, 200), vote="softmax"),
    "knn-dino-20": Knn(ks=(20,), vote="softmax"),
    "retrieval": Retrieval(),
    "spectrum": Spectrum(),
    "multiview": MultiView(),
    "map": Map(),
    "map-tsne": Map(method="tsne"),
    "map-umap": Map(method="umap"),
    "linear-dinov2": Logistic(lowest=1e-5, highest=1e6),  # C from 1e-6 to 1e5
    "linear-byol-l2": Logistic(normalise="l2"),
    "linear-byol-standardise": Logistic(normalise="standardise"),
    "fewshot": Shots(),
    "cluster": Cluster(),
    "blocks-pets4": Blocks(preset="pets4"),
    "blocks-imagenet-dogs-cats": Blocks(preset="imagenet-dogs-cats"),
    "blocks-imagenet-dogs-cats-english": Blocks(preset="imagenet-dogs-cats-english"),
    "blocks-imagenet-dogs-cats-gordon": Blocks(preset="imagenet-dogs-cats-gordon"),
    "discriminability-squared": Discriminability(metric="squared"),
    "discriminability-cosine": Discriminability(metric="cosine"),
    "discriminability-nearest-class": Discriminability(reading="nearest-class"),
    "discriminability-other-centroids": Discriminability(reading="other-centroids"),
    "discriminability-fisher": Discriminability(reading="fisher"),
    "discriminability-fisher-mean": Discriminability(reading="fisher-mean"),
}
# what `evaluate` runs where no protocol is named; multiview joins them where views are stored
DEFAULT = ("linear-byol", "fewshot-5", "knn", "blocks", "discriminability", "spectrum", "map")
SOURCES = {
    "linear-byol": "BYOL, appendix D.2: 45 penalties from 1e-6 to 1e5, chosen on validation rows, refitted on all",
    "fewshot-5": "chosen here: five labelled images a class, 20 draws, one penalty for all draws",
    "knn": "majority vote by cosine similarity; k chosen on validation rows",
    "blocks": "RELICv2's neighbour block matrix: 5 nearest neighbours, Euclidean distance, 50 images a class",
    "discriminability": "RELICv2's figure: mean inter-class over mean intra-class Euclidean distance",
    "linear-imagenet": "RELICv2's code (batch 1024, 100 epochs, SGD with Nesterov 0.9, cosine to 0, no decay), learning rates of "
    "BYOL, appendix C.1, chosen on validation rows",
    "ridge": "chosen here: ridge regression onto the classes, 37 penalties, chosen on validation rows, refitted on all",
    "knn-dino": "DINO's eval_knn.py: votes weighted by exp(cosine / 0.07); k is chosen on validation rows, there it is printed for each",
    "knn-dino-20": "DINO's published figures: eval_knn.py at k = 20, all training rows; nothing is chosen",
    "retrieval": "chosen here: each test image searches all others by cosine; recall at k and mean average precision",
    "spectrum": "RankMe, effective rank, participation ratio, alpha-ReQ and uniformity, as published; no label is looked at",
    "multiview": "LiDAR and alignment over augmented views of the test images; no label is looked at; needs 'embed --views'",
    "map": "chosen here: the first two principal components of at most 1,000 test images, exact; how often the nearest point is of the same class",
    "map-tsne": "as map, by scikit-learn's t-SNE (van der Maaten and Hinton 2008): perplexity 30, begun at the principal components, seed 0",
    "map-umap": "as map, by umap-learn's UMAP (McInnes et al. 2018): 15 neighbours, least distance 0.1, seed 0; needs 'pip install umap-learn'",
    "linear-dinov2": "DINOv2's log_regression.py: 45 values of C = 1 / penalty from 1e-6 to 1e5, chosen on validation rows, refitted on all",
    "linear-byol-l2": "as linear-byol, each row divided by its length",
    "linear-byol-standardise": "as linear-byol, each column at mean 0 and spread 1 over the rows that are fitted on",
    "fewshot": "chosen here: 1, 2, 4, 8 and 16 labelled images a class, ten draws, one penalty a number",
    "cluster": "k-means with k = classes on rows at unit length, as DeepCluster divides them; accuracy by the best matching, NMI, AMI, ARI",
    "robust": "ImageNet-C's 15 corruptions at five strengths, made of the test pictures; the probe of linear-byol, mean accuracy; "
    "needs 'embed --corruptions'",
    "robust-sets": "RELICv2's robustness and OOD tables: the probe of linear-byol on ImageNet, tested on ImageNetV2, -C, -R, -Sketch or ObjectNet",
    "blocks-pets4": "chosen here: Egyptian and Persian cat, golden and Labrador retriever, 50 test images each",
    "blocks-imagenet-dogs-cats": "RELICv2's figure with an Irish setter: 50 validation images each of vizsla, setter, Siamese and Egyptian cat",
    "blocks-imagenet-dogs-cats-english": "as blocks-imagenet-dogs-cats with an English setter; RELICv2's figure does not say which it shows",
    "blocks-imagenet-dogs-cats-gordon": "as blocks-imagenet-dogs-cats with a Gordon setter; RELICv2's figure does not say which it shows",
    "discriminability-squared": "as discriminability, with squared distances",
    "discriminability-cosine": "as discriminability, with 1 - cosine",
    "discriminability-nearest-class": "chosen here: mean distance to the images of the nearest other class over that to its own",
    "discriminability-other-centroids": "chosen here: mean distance to other classes' centroids over that to its own without the image",
    "discriminability-fisher": "RELIC, section 5: squared distance of two class means over the sum of squared distances within the first",
    "discriminability-fisher-mean": "as discriminability-fisher with the mean of squared distances, which does not depend on the size of a class",
}
TITLES = {
    "linear-byol": "linear probe",
    "fewshot-5": "five labelled a class",
    "knn": "nearest neighbours",
    "blocks": "neighbour blocks",
    "discriminability": "distance between / within classes",
    "linear-imagenet": "linear probe by SGD",
    "ridge": "linear probe in closed form",
    "knn-dino": "nearest neighbours, weighted votes",
    "knn-dino-20": "20 nearest neighbours, weighted votes",
    "retrieval": "retrieval",
    "spectrum": "spectrum, without labels",
    "multiview": "views of one image, without labels",
    "map": "map, principal components",
    "map-tsne": "map, t-SNE",
    "map-umap": "map, UMAP",
    "linear-dinov2": "linear probe, DINOv2's grid",
    "linear-byol-l2": "linear probe at unit length",
    "linear-byol-standardise": "linear probe, standardised",
    "fewshot": "1 to 16 labelled a class",
    "cluster": "clusters against classes",
    "robust": "linear probe on corrupted pictures",
    "robust-sets": "linear probe on another set",
    "blocks-pets4": "neighbour blocks of two cats and two dogs",
    "blocks-imagenet-dogs-cats": "neighbour blocks, Irish setter",
    "blocks-imagenet-dogs-cats-english": "neighbour blocks, English setter",
    "blocks-imagenet-dogs-cats-gordon": "neighbour blocks, Gordon setter",
    "discriminability-squared": "squared distance between / within classes",
    "discriminability-cosine": "cosine distance between / within classes",
    "discriminability-nearest-class": "distance to the nearest other class / within its own",
    "discriminability-other-centroids": "distance to other centroids / to its own",
    "discriminability-fisher": "RELIC's Fisher ratio",
    "discriminability-fisher-mean": "Fisher ratio of means",
}


def describe(protocol: str) -> dict[str, Any]:
    """The settings of a protocol and where they come from.

    >>> describe("knn")["similarity"]
    'cosine'
    """
    evaluator = PROTOCOLS[protocol]
    return {**dataclasses.asdict(evaluator), "version": evaluator.version, "source": SOURCES[protocol]}
