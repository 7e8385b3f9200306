"""A script: print what is stored, page by page.

    NOTARY_USERNAME=JohnSmith NOTARY_PASSWORD=… python examples/script.py

The store needs the extra ``stores``. With it a cron job that runs every minute logs in every two hours.
"""

import os
import sys

import requests

from notary_auth.requests import NotaryAuth
from notary_auth.stores import FileStore

CLOUD = os.environ.get("NOTARY_CLOUD_URL", "https://cloud.acronis.com")


def main() -> None:
    with requests.Session() as session:
        session.auth = NotaryAuth.from_env(store=FileStore())
        cursor: str | None = ""
        while cursor is not None:
            answer = session.get(f"{CLOUD}/api/notary/v2/stored-files", params={"cursor": cursor or 0}, timeout=30)
            answer.raise_for_status()
            page = answer.json()
            for file in page["files"]:
                print(f"{file['created_at']}  {file['size']:>12,}  {file['name']}")
            cursor = page["paging"]["cursors"].get("after")


if __name__ == "__main__":
    try:
        main()
    except requests.RequestException as error:  # ours are among them
        sys.exit(f"{type(error).__name__}: {error}")
