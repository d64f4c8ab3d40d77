import pytest
import torch

from vitreous.parts import LayerNorm, PartialNorm


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


# The paper's table 8: what stands for the norm of the position, and its parameters at a width of 6.
FORMS = {
    "w": (PartialNorm(standardize=False), 0),
    "c·w": (PartialNorm(standardize=False, scale="one"), 1),
    "g·w": (PartialNorm(standardize=False, scale="channel"), 6),
    "g·w + b": (PartialNorm(standardize=False, scale="channel", shift=True), 12),
    "x̂": (PartialNorm(), 0),
    "c·x̂": (PartialNorm(scale="one"), 1),
    "g·x̂": (PartialNorm(scale="channel"), 6),
    "g·x̂ + b": (PartialNorm(scale="channel", shift=True), 12),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_computes_what_it_is_called(form: str) -> None:
    norm, parameters = FORMS[form]
    module = norm.build(6)
    assert sum(each.numel() for each in module.parameters()) == parameters
    for each in module.parameters():
        torch.nn.init.normal_(each)
    w = torch.randn(2, 5, 6)
    mean, variance = w.mean(-1, keepdim=True), w.var(-1, unbiased=False, keepdim=True)
    expected = (w - mean) / (variance + 1e-6).sqrt() if "x̂" in form else w
    if "c·" in form or "g·" in form:
        expected = module.weight * expected
    if "+ b" in form:
        expected = expected + module.bias
    torch.testing.assert_close(module(w), expected)


def test_all_parts_together_are_layer_normalisation() -> None:
    partial, whole = FORMS["g·x̂ + b"][0].build(6).double(), LayerNorm().build(6).double()
    for each in partial.parameters():
        torch.nn.init.normal_(each)
    whole.load_state_dict(partial.state_dict())
    w = torch.randn(4, 6, dtype=torch.double)
    torch.testing.assert_close(partial(w), whole(w), rtol=1e-14, atol=1e-14)


def test_before_training_all_forms_are_the_table_or_the_standardised_table() -> None:
    w = torch.randn(3, 6)
    for form, (norm, _) in FORMS.items():
        plain = FORMS["x̂" if "x̂" in form else "w"][0]
        assert torch.equal(norm.build(6)(w), plain.build(6)(w))
