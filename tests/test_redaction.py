"""Secrets are hidden by their form; the tokens of a transformer are not secrets."""

import pytest

from vitreous.redaction import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pw1234@host/x", "https://***@host/x"),
        ("s3://key@bucket/x?token=abc&y=1", "s3://***@bucket/x?token=***&y=1"),
        (
            "https://h/x?X-Amz-Signature=abc&X-Amz-Credential=AK",
            "https://h/x?X-Amz-Signature=***&X-Amz-Credential=***",
        ),
        ("--hf-token abcdefg --data x", "--hf-token *** --data x"),
        ("['--hf-token', 'abc', '--data', 'x']", "['--hf-token', '***', '--data', 'x']"),
        ("api_key=abc, lr=3", "api_key=***, lr=3"),
        ('{"password": "hunter2", "lr": 3}', '{"password": "***", "lr": 3}'),
        ("with hf_abcdefghijklmnop inside", "with *** inside"),
    ],
)
def test_a_secret_is_hidden_by_its_form(text: str, shown: str) -> None:
    assert redact(text, {}) == shown


@pytest.mark.parametrize(
    "text",
    [
        "784 tokens: they do not split into 5 slices", "ClassToken()", "class_token: true", "author=me",
        "key: value", "layers.3.keys=4", "torch/cifar10", "a@b.org", "/home/me/secrets/x.png",
    ],
)  # fmt: skip
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text, {}) == text


def test_the_value_of_a_secret_variable_is_hidden_wherever_it_appears() -> None:
    environment = {"WANDB_API_KEY": "0123456789", "HOME": "/home/somebody", "SHORT_TOKEN": "abc"}
    assert redact("x/0123456789/y /home/somebody abc", environment) == "x/***/y /home/somebody abc"
