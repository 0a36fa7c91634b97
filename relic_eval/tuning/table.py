"""The evaluators that train or look into the encoder, listed by hand, and their protocols: every setting frozen, under a name."""

from __future__ import annotations

import dataclasses
from typing import Any

from relic_eval.tuning.finetune import FineTune
from relic_eval.tuning.segment_fcn import SegmentFcn
from relic_eval.tuning.segment_linear import SegmentLinear
from relic_eval.tuning.semi import Semi

EVALUATORS: dict[str, type] = {
    "finetune": FineTune,
    "semi": Semi,
    "segment-fcn": SegmentFcn,
    "segment-linear": SegmentLinear,
}
PROTOCOLS: dict[str, Any] = {
    "finetune-kornblith": FineTune(),
    "finetune-small": FineTune(learning_rates=(0.003, 0.01, 0.03), decays=(0.0, 1e-5), steps=0, epochs=10, batch=32),
    "semi-1pct": Semi(share=0.01),
    "semi-10pct": Semi(share=0.1),
    "segment-fcn": SegmentFcn(),
    "segment-fcn-cityscapes": SegmentFcn(crop=769, view=0),
    "segment-fcn-small": SegmentFcn(
        learning_rates=(0.01, 0.03), steps=120, batch=8, crop=65, view=0, shorter=64, width=64, dilation=2, trainings=1
    ),
    "segment-linear": SegmentLinear(),
}
SOURCES = {
    "finetune-kornblith": "BYOL, appendix D.3, after Kornblith et al. 2019: 20,000 steps, batch 256, 7 learning rates x 8 decays chosen "
    "on validation pictures, refitted on all; the cosine is from memory",
    "finetune-small": "chosen here: as finetune-kornblith with 3 learning rates x 2 decays, batch 32 and ten passes, for a CPU",
    "semi-1pct": "BYOL, appendix C.1: the published 1% of ImageNet, elsewhere drawn from each class; 5 learning rates x 2 lengths chosen "
    "on validation pictures; the cosine is that of RELICv2's code for linear evaluation",
    "semi-10pct": "as semi-1pct, with 10%",
    "segment-fcn": "BYOL, appendix D.4: FCN-16s on PASCAL VOC 2012, 30,000 steps, 5 learning rates chosen on held-out pictures, 5 seeds",
    "segment-fcn-cityscapes": "chosen here: as segment-fcn with crops of 769 pixels, as MoCo and DetCon have them; whole pictures are judged",
    "segment-fcn-small": "chosen here: as segment-fcn at a shorter side of 64 pixels with 120 steps, a narrower head and one seed, for a CPU",
    "segment-linear": "DINOv2's linear segmentation (BNHead: normalisation and a linear layer on the last map), solved as the convex "
    "problem it is on 128 pixels a picture; 13 penalties chosen on validation pictures",
}
TITLES = {
    "finetune-kornblith": "fine-tuning",
    "finetune-small": "fine-tuning, short",
    "semi-1pct": "fine-tuning on 1% of the labels",
    "semi-10pct": "fine-tuning on 10% of the labels",
    "segment-fcn": "segmentation, fine-tuned",
    "segment-fcn-cityscapes": "segmentation, fine-tuned on large crops",
    "segment-fcn-small": "segmentation, fine-tuned shortly",
    "segment-linear": "segmentation, frozen",
}


def describe(protocol: str) -> dict[str, Any]:
    """The settings of a protocol and where they come from.

    >>> describe("finetune-kornblith")["steps"]
    20000
    """
    evaluator = PROTOCOLS[protocol]
    return {**dataclasses.asdict(evaluator), "version": evaluator.version, "source": SOURCES[protocol]}
