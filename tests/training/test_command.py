"""The command line that a card shows."""

from vitreous.data.loading import Loading
from vitreous.training.command import as_command
from vitreous.training.recipe import Recipe
from vitreous.training.settings import TrainSettings


def test_a_command_names_what_is_not_the_default_and_nothing_else():
    assert as_command(TrainSettings(data=["digits"])) == "vitreous train --data digits"
    settings = TrainSettings(
        data=["a b.parquet", "c.parquet"],
        batch_size=64,
        fresh=True,
        recipe=Recipe(drop_path=0.2, ema=False, betas=(0.9, 0.99)),
        loading=Loading(skip_unreadable=True),
    )
    assert as_command(settings) == (
        "vitreous train --data 'a b.parquet' c.parquet --batch-size 64 --fresh --recipe.betas 0.9 0.99 "
        "--recipe.drop-path 0.2 --recipe.no-ema --loading.skip-unreadable"
    )
