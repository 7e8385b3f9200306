"""What is left of migration_before.py: the call itself."""

import os

import requests

from notary_auth.requests import NotaryAuth

CLOUD = os.environ.get("NOTARY_CLOUD_URL", "https://cloud.acronis.com")
AUTH = NotaryAuth.from_env()


def get(path: str) -> requests.Response:
    return requests.get(f"{CLOUD}/api/notary/v2{path}", auth=AUTH, timeout=30)


if __name__ == "__main__":
    print(len(get("/stored-files").json()["files"]), "files")
