"""Training the head alone: everything before it stays as it is, its dropout and batch statistics included."""

from torch import nn


def freeze_before_head(model: nn.Module) -> None:
    """No gradients for anything but the head."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("head."))


def train_mode(model: nn.Module) -> None:
    """`model.train()`, but parts without anything to learn stay as at evaluation."""
    model.train()
    for part in model.children():
        parameters = list(part.parameters())
        if parameters and not any(each.requires_grad for each in parameters):
            part.eval()
