"""A FastAPI service: one client, and so one login, for the life of the application.

    pip install fastapi uvicorn
    uvicorn --app-dir examples fastapi_service:app

With several workers, ``store=RedisStore(…)`` or ``store=FileStore()`` makes it one login for all of them.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, HTTPException, Request

import notary_auth
from notary_auth.httpx import NotaryAuth

CLOUD = os.environ.get("NOTARY_CLOUD_URL", "https://cloud.acronis.com")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with httpx.AsyncClient(
        auth=NotaryAuth.from_env(), base_url=f"{CLOUD}/api/notary/v2", timeout=30
    ) as client:
        yield {"notary": client}


app = FastAPI(lifespan=lifespan)


@app.get("/files")
async def files(request: Request) -> dict[str, Any]:
    try:
        answer = await request.state.notary.get("/stored-files")
    except notary_auth.NotaryAuthError as error:
        raise HTTPException(502, f"Notary does not let us in: {error}") from error
    except httpx.HTTPError as error:
        raise HTTPException(504, "Notary is not reached") from error
    answer.raise_for_status()
    return {"names": [file["name"] for file in answer.json()["files"]]}
