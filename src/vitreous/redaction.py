"""Secrets taken out of whatever a run prints or records: addresses with passwords, tokens, keys.

Two rules, both by form, so that nothing has to be declared: the value of an environment variable whose
name says that it is secret, and text that looks like a credential (user and password in an address,
`token=…`, the prefixes of common access tokens).
"""

import os
import re
from collections.abc import Mapping

HIDDEN = "***"

_SECRET_NAME = (
    r"(?:token|secret|passw(?:or)?d|passphrase|credential|signature|api[_-]?key|access[_-]?key|auth)"
)
_FORMS = (
    (re.compile(r"(\w[\w+.-]*://)[^/\s@]+@"), rf"\1{HIDDEN}@"),
    (
        re.compile(rf"(?i)([\w-]*{_SECRET_NAME}[\w-]*[\"']?\s*[=:]\s*[\"']?)(?:bearer\s+)?[^\s\"'&,;]+"),
        rf"\1{HIDDEN}",
    ),
    (re.compile(rf"(?i)(--[\w.-]*{_SECRET_NAME}[\w-]*[ =])[^\s\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(?:hf_|gh[pousr]_|github_pat_|glpat-|sk-|xox[abp]-|AKIA)[A-Za-z0-9_-]{12,}"), HIDDEN),
)
_SECRET_VARIABLE = re.compile(rf"(?i)(?:{_SECRET_NAME}|_key$)")


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
