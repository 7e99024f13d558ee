"""The certificates that HTTPS connections trust: certifi's, or those that the environment names."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from agentkit.errors import SettingsError

_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""The variables that OpenSSL, requests and curl use; the first one that is set wins."""


def tls_context() -> ssl.SSLContext:
    """A TLS context for clients, created when the first HTTPS connection needs it.

    Raises:
        SettingsError: a variable names certificates that can't be read.
    """
    import certifi

    found = _named()
    if found is None:
        return ssl.create_default_context(cafile=certifi.where())
    name, path = found
    try:
        if Path(path).is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise _unreadable(name, path, error) from None


def certificate_problem() -> SettingsError | None:
    """What is wrong with the certificates that the environment names, for clients that read it themselves; None if
    nothing."""
    try:
        tls_context()
    except SettingsError as error:
        return error
    return None


def _named() -> tuple[str, str] | None:
    return next(((name, os.environ[name]) for name in _VARIABLES if os.environ.get(name)), None)


def _unreadable(name: str, path: str, error: Exception) -> SettingsError:
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return SettingsError(
        f"{name} names {path}, which holds no certificates that can be read ({why}): unset it or fix the file"
    )
