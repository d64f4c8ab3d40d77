"""Model families as configs: one file a paper, one backbone for all."""

from vitreous.models.as_json import from_json, to_json
from vitreous.models.catalog import config, list_models
from vitreous.models.vision_transformer import VisionTransformer, build

__all__ = ["VisionTransformer", "build", "config", "from_json", "list_models", "to_json"]
