"""Cross-entropy on labels and on mixed targets."""

import torch

from vitreous.training.loss import classification_loss


def test_the_loss_is_the_smoothed_cross_entropy_of_the_formula():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 4, generator=generator)
    targets = torch.rand(6, 4, generator=generator).softmax(1)
    smoothed = 0.9 * targets + 0.1 / 4
    expected = -(smoothed * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(classification_loss(logits, targets, 0.1), expected)


def test_a_label_is_a_mixed_target_with_everything_on_one_class():
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 2, 1, 1, 0])
    one_hot = torch.nn.functional.one_hot(labels, 3).to(torch.float32)
    torch.testing.assert_close(
        classification_loss(logits, labels, 0.1), classification_loss(logits, one_hot, 0.1)
    )


def test_the_sum_of_exponentials_is_taken_in_float32():
    logits = torch.tensor([[4.03, 4.0, 4.0]], dtype=torch.bfloat16)
    loss = classification_loss(logits, torch.tensor([0]))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, -logits.to(torch.float32).log_softmax(1)[0, 0])
