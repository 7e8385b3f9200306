"""Where things are: the repository, and the platform's calls by their paths."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent

LOOKUP = "/api/1/accounts"
LOGIN = "/api/2/idp/token"
REVOKE = "/api/2/idp/revoke_token"
FILES = "/api/notary/v2/stored-files"
