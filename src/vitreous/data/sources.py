"""Which source a data argument names: digits, a set of torchvision or Hugging Face, shards, files, a folder.

A path that leads nowhere is answered with the nearest thing that is there.
"""

from collections.abc import Sequence
from pathlib import Path

from vitreous.data.loading import Loading
from vitreous.data.records import Source
from vitreous.errors import ConfigError, DataError, did_you_mean


def find_source(given: Sequence[str], loading: Loading) -> Source:
    """The source that a data argument names.

    Raises:
        DataError: nothing there, or something that is no data set.
        ConfigError: no data named, or several that do not go together.
    """
    if not given or not all(given):
        raise ConfigError("no data given; a folder, parquet files, torch/<name> or digits works")
    first = given[0]
    if all(each.startswith("wds:") for each in given):
        from vitreous.data.tar_shards import tar_shards

        return tar_shards(given, loading)
    from vitreous.data.hugging_face import hugging_face, is_saved

    if len(given) == 1 and (first.startswith("hf:") or is_saved(Path(first))):
        return hugging_face(first, loading.label_column)
    if all(each.endswith(".tar") and Path(each).is_file() for each in given):
        from vitreous.data.tar_folder import tar_folder

        return tar_folder([Path(each) for each in given])
    if len(given) == 1 and first.endswith(".csv") and Path(first).is_file():
        from vitreous.data.table import table

        return table(Path(first))
    if len(given) == 1 and first == "digits":
        from vitreous.data.digits import digits

        return digits()
    if len(given) == 1 and first.startswith("torch/") and not Path(first).exists():
        from vitreous.data.torch_sets import torch_set

        return torch_set(first, download=loading.download)
    from vitreous.data.parquet import parquet, parquet_files

    files = []
    for each in given:
        found = parquet_files([each])
        path = Path(each)
        if not found and len(given) == 1 and path.is_dir():
            from vitreous.data.folder import folder

            try:
                return folder(path)
            except OSError as error:
                raise DataError(f"{error.filename or path}: cannot be opened ({error.strerror})") from error
        if not found:
            raise DataError(_not_there(each))
        files += found
    return parquet(files, loading.label_column)


def _not_there(text: str) -> str:
    path = Path(text)
    if path.is_dir():
        return f"{path}: no parquet files in it; several data arguments are parquet files, or name one folder"
    if path.suffix == ".tar" and any(letter in text for letter in "*?[{"):
        return f"{text}: no pattern of tars works without wds: in front, which names WebDataset shards"
    if any(letter in text for letter in "*?["):
        return f"{text}: no parquet file matches"
    sets = ("digits", "torch/cifar10", "torch/cifar100", "torch/mnist", "torch/fashionmnist")
    parent = next(folder for folder in (path.parent, *path.parents) if folder.exists())
    near = [entry.name for entry in parent.iterdir()] if parent.is_dir() else []
    missing = path.relative_to(parent).parts[0]
    hint = did_you_mean(missing, [*sets, *near] if len(path.parts) == 1 else near)
    hint = hint or "; a folder of class folders, parquet files, torch/<name> or digits works"
    return f"{path} does not exist; {parent.absolute()} does{hint}"
