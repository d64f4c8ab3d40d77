"""The tiny run of the training tests."""

from tests.training.conftest import one_thread, tiny, tiny_config, tiny_run

__all__ = ["one_thread", "tiny", "tiny_config", "tiny_run"]
