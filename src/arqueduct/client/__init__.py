"""A typed client of the API: `Client` for scripts, `AsyncClient` for asyncio, `Live` for what happens meanwhile.

    with Client("http://127.0.0.1:8000", api_key="aq_…") as api:
        accepted = api.create_document("handbook.pdf")
        api.wait(accepted.job.id)
        for hit in api.search_passages(models.SearchRequest(query="how do I return it?")).items:
            print(hit.text)

Types and operations are made from the description of the API (clients/python.py); what carries them is written by
hand. Everything is in `models` and `operations`.
"""

from arqueduct.client import models
from arqueduct.client.clients import AsyncClient, Client
from arqueduct.client.errors import APIError, BadURLError, ClientError, UnreachableError, WaitTimeoutError
from arqueduct.client.live import Live
from arqueduct.client.messages import JobMessage
from arqueduct.client.tokens import SignIn

__all__ = [
    "APIError",
    "AsyncClient",
    "BadURLError",
    "Client",
    "ClientError",
    "JobMessage",
    "Live",
    "SignIn",
    "UnreachableError",
    "WaitTimeoutError",
    "models",
]
