"""How images get from disk to the model: settings only, free of heavy imports."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How images are read.

    Args:
        path: `resident` decodes the whole data set once to uint8 and augments batches on the device;
            `streaming` decodes in worker processes; `auto` takes resident where it fits in memory.
        workers: worker processes of the streaming path; `auto` is one less than the cores, 1 to 8.
        order: `full` shuffles all training images in every epoch; `shards` goes through the tars or shards
            in random order, eight at a time shuffled together, which reads a network disk faster.
        look: images of a split that are decoded before training, for their sizes and to find unreadable
            ones: `all`, a number, or `auto`, which is all of up to 100,000 and 10,000 of more.
        skip_unreadable: leave out images that cannot be decoded, and list them, instead of stopping; one
            that is only met while training is replaced by the next.
        allow_missing_classes: accept a validation split that lacks classes of the training split.
        val_share: share of the training images cut off for validation where no such split is given
            (stratified; 0 to 1).
        split_file: `split.csv` of another run, whose validation images are taken instead of cutting anew.
        limit: use at most this many training images (stratified), for trying things out.
        label_column: column (of .json in WebDataset shards: field) that holds the label, where there are
            several.
        class_names: file with the class names of WebDataset shards by number, a JSON list or one a line;
            by default `classes.json` beside the shards.
        download: fetch a `torch/<name>` set, or shards that lie elsewhere, once; apart from it only `hf:`
            names use the network.
    """

    path: Literal["auto", "resident", "streaming"] = "auto"
    workers: int | Literal["auto"] = "auto"
    order: Literal["full", "shards"] = "full"
    look: int | Literal["auto", "all"] = "auto"
    skip_unreadable: bool = False
    allow_missing_classes: bool = False
    val_share: float = 0.1
    split_file: str | None = None
    limit: int | None = None
    label_column: str | None = None
    class_names: str | None = None
    download: bool = False
