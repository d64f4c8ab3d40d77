"""The papers behind the catalog in full, for model cards; entries name them by title and arXiv number."""

import re

from vitreous.models.catalog import CATALOG

BY_ARXIV = {
    "2004.11886": ("Wu et al.", "Lite Transformer with Long-Short Range Attention", "ICLR 2020"),
    "2010.11929": (
        "Dosovitskiy et al.",
        "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
        "ICLR 2021",
    ),
    "2012.12877": (
        "Touvron et al.",
        "Training data-efficient image transformers & distillation through attention",
        "ICML 2021",
    ),
    "2101.11986": (
        "Yuan et al.",
        "Tokens-to-Token ViT: Training Vision Transformers from Scratch on ImageNet",
        "ICCV 2021",
    ),
    "2103.14030": (
        "Liu et al.",
        "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
        "ICCV 2021",
    ),
    "2103.16302": ("Heo et al.", "Rethinking Spatial Dimensions of Vision Transformers", "ICCV 2021"),
    "2104.05704": ("Hassani et al.", "Escaping the Big Data Paradigm with Compact Transformers", "2021"),
    "2105.01601": ("Tolstikhin et al.", "MLP-Mixer: An all-MLP Architecture for Vision", "NeurIPS 2021"),
    "2105.02723": (
        "Melas-Kyriazi",
        "Do You Even Need Attention? A Stack of Feed-Forward Layers Does Surprisingly Well on ImageNet",
        "2021",
    ),
    "2106.14881": ("Xiao et al.", "Early Convolutions Help Transformers See Better", "NeurIPS 2021"),
    "2108.03428": (
        "Chen et al.",
        "PSViT: Better Vision Transformer via Token Pooling and Attention Sharing",
        "2021",
    ),
    "2111.05297": ("Shen, Liu, Xing", "Sliced Recursive Transformer", "ECCV 2022"),
    "2203.07116": (
        "Xia, Xue, Deng, Wang, Wang",
        "Deep Transformers Thirst for Comprehensive-Frequency Data",
        "2022",
    ),
    "2212.05262": (
        "Yu et al.",
        "LaPE: Layer-adaptive Position Embedding for Vision Transformers with Independent Layer "
        "Normalization",
        "ICCV 2023",
    ),
}


def references(name: str) -> list[str]:
    """The papers of a catalog name, `Authors: Title, where, arXiv:number`; none for any other model."""
    paper = CATALOG[name].paper if name in CATALOG else ""
    numbers = re.findall(r"arXiv (\d{4}\.\d{5})", paper)
    return ["{}: {}, {}".format(*BY_ARXIV[number]) + f", arXiv:{number}" for number in numbers]
