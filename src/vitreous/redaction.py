"""Secrets taken out of whatever a run prints or records: passwords, keys, access tokens.

Two rules, both by form, so that nothing has to be declared: the value of an environment variable whose
name says that it is secret, and text that looks like a credential (user and password in an address,
`api_key=…`, the prefixes of common access tokens). Tokens of a transformer are left alone.
"""

import os
import re
from collections.abc import Mapping

HIDDEN = "***"

_OWNER = r"access|api|auth|bearer|github|gitlab|hf|hub|refresh|sas|session|wandb"
_NAME = (
    rf"(?:(?:{_OWNER})[_-]?token|secret|passw(?:or)?d|passphrase|credential|(?:api|access|private)[_-]?key)"
)
_FORMS = (
    # scheme://user:password@host
    (re.compile(r"(\w[\w+.-]*://)[^/\s@]+@"), rf"\1{HIDDEN}@"),
    # ?token=… and &sig=… in an address
    (re.compile(r"(?i)([?&][\w-]*(?:token|sig|signature|key|auth|credential)=)[^\s&\"']+"), rf"\1{HIDDEN}"),
    # api_key=…, "password": "…", --hf-token …
    (re.compile(rf"(?i)([\w-]*{_NAME}[\w-]*[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;]+"), rf"\1{HIDDEN}"),
    (re.compile(rf"(?i)(--[\w.-]*(?:{_NAME}|token)[\"']?,? [\"']?)[^\s\"'-][^\s\"']*"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(?:hf_|gh[pousr]_|github_pat_|glpat-|sk-|xox[abp]-|AKIA)[A-Za-z0-9_-]{12,}"), HIDDEN),
)
_SECRET_VARIABLE = re.compile(r"(?i)token|secret|passw|passphrase|(?:api|access|private)_?key|credential")


def redact(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text with everything that looks like a secret replaced by `***`.

    Args:
        text: what is about to be printed or written.
        environment: variables whose values are hidden where their name says that they are secret.
    """
    for name, value in environment.items():
        if len(value) >= 8 and _SECRET_VARIABLE.search(name):
            text = text.replace(value, HIDDEN)
    for form, replacement in _FORMS:
        text = form.sub(replacement, text)
    return text
