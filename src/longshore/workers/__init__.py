"""The SDK for workers; ``workers`` inside the runtime. Source-compatible with Cloudflare's for Python.

::

    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return Response("hello")
"""

from longshore.workers._blob import Blob, BlobEnding, BlobValue, File
from longshore.workers._context import Context, wait_until, waitUntil
from longshore.workers._entrypoint import DurableObject, WorkerEntrypoint, WorkflowEntrypoint
from longshore.workers._env import env, patch_env
from longshore.workers._fetch import fetch
from longshore.workers._form_data import FormData, FormDataValue
from longshore.workers._handler import handler
from longshore.workers._headers import Headers
from longshore.workers._javascript import import_from_javascript
from longshore.workers._request import Request
from longshore.workers._response import FetchResponse, Response
from longshore.workers._rpc import python_from_rpc, python_to_rpc
from longshore.workers._types import Body, FetchKwargs, JSBody, RequestInitCfProperties

__all__ = [
    "Blob",
    "BlobEnding",
    "BlobValue",
    "Body",
    "Context",
    "DurableObject",
    "FetchKwargs",
    "FetchResponse",
    "File",
    "FormData",
    "FormDataValue",
    "Headers",
    "JSBody",
    "Request",
    "RequestInitCfProperties",
    "Response",
    "WorkerEntrypoint",
    "WorkflowEntrypoint",
    "env",
    "fetch",
    "handler",
    "import_from_javascript",
    "patch_env",
    "python_from_rpc",
    "python_to_rpc",
    "waitUntil",
    "wait_until",
]
