"""The keys of wrangler that Longshore reads and does not act upon: data (PURE).

The list follows wrangler's own declaration of its file (``environment.ts`` and ``config.ts`` of workers-sdk, autumn
2026). Binding names declared there are remembered, so that ``env.CACHE`` says why there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from longshore.config.positions import KeyPath

__all__ = ["INERT_KEYS", "NON_INHERITABLE", "TOP_LEVEL_ONLY", "InertKey", "declared_bindings", "is_minor"]


@dataclass(frozen=True, slots=True)
class InertKey:
    """A key that is accepted and has no effect."""

    what: str
    """What it is about, in the plural, as the subject of a sentence."""
    bindings: str = ""
    """Where its bindings are named: ``[].binding``, ``bindings[].name``, ``binding``, ``*`` for the keys themselves."""
    is_minor: bool = False
    """Whether what a worker can do is the same without it, so that a notice at every start would only be noise."""
    is_silent: bool = False
    """Whether it is no business of a runtime at all, so that a notice would only be noise."""


INERT_KEYS: Final[Mapping[str, InertKey]] = {
    # Bindings.
    "ai": InertKey("Workers AI bindings", "binding"),
    "ai_search": InertKey("AI Search bindings", "[].binding"),
    "ai_search_namespaces": InertKey("AI Search bindings", "[].binding"),
    "analytics_engine_datasets": InertKey("Analytics Engine bindings", "[].binding"),
    "artifacts": InertKey("Artifacts bindings", "[].binding"),
    "assets": InertKey("static assets", "binding"),
    "browser": InertKey("Browser Rendering bindings", "binding"),
    "d1_databases": InertKey("D1 databases", "[].binding"),
    "data_blobs": InertKey("data blobs", "*"),
    "dispatch_namespaces": InertKey("dispatch namespaces", "[].binding"),
    "durable_objects": InertKey("Durable Objects", "bindings[].name"),
    "flagship": InertKey("Flagship bindings", "[].binding"),
    "images": InertKey("Images bindings", "binding"),
    "kv_namespaces": InertKey("KV namespaces", "[].binding"),
    "logfwdr": InertKey("logfwdr bindings", "bindings[].name"),
    "media": InertKey("Media bindings", "binding"),
    "pipelines": InertKey("Pipelines", "[].binding"),
    "queues": InertKey("Queues", "producers[].binding"),
    "r2_buckets": InertKey("R2 buckets", "[].binding"),
    "ratelimits": InertKey("rate limits", "[].name"),
    "secrets_store_secrets": InertKey("Secrets Store bindings", "[].binding"),
    "send_email": InertKey("e-mail bindings", "[].name"),
    "services": InertKey("service bindings", "[].binding"),
    "stream": InertKey("Stream bindings", "binding"),
    "text_blobs": InertKey("text blobs", "*"),
    "unsafe": InertKey("unsafe bindings", "bindings[].name"),
    "unsafe_hello_world": InertKey("hello-world bindings", "[].binding"),
    "vectorize": InertKey("Vectorize indexes", "[].binding"),
    "version_metadata": InertKey("version metadata bindings", "binding"),
    "vpc_networks": InertKey("VPC bindings", "[].binding"),
    "vpc_services": InertKey("VPC bindings", "[].binding"),
    "wasm_modules": InertKey("WebAssembly modules", "*"),
    "worker_loaders": InertKey("worker loaders", "[].binding"),
    "workflows": InertKey("Workflows", "[].binding"),
    # Everything else.
    "$schema": InertKey("editor schemas", is_silent=True),
    "account_id": InertKey("Cloudflare accounts", is_silent=True),
    "alias": InertKey("module aliases"),
    "base_dir": InertKey("bundling options", is_silent=True),
    "cache": InertKey("cache options", is_minor=True),
    "cloudchamber": InertKey("containers"),
    "compliance_region": InertKey("compliance regions", is_minor=True),
    "connect": InertKey("inbound TCP ports"),
    "containers": InertKey("containers"),
    "define": InertKey("build-time replacements"),
    "find_additional_modules": InertKey("bundling options", is_silent=True),
    "first_party_worker": InertKey("first-party workers", is_silent=True),
    "jsx_factory": InertKey("JSX options", is_silent=True),
    "jsx_fragment": InertKey("JSX options", is_silent=True),
    "keep_names": InertKey("bundling options", is_silent=True),
    "keep_vars": InertKey("deployment options", is_silent=True),
    "legacy_env": InertKey("legacy environments", is_minor=True),
    "limits": InertKey("CPU and request limits", is_minor=True),
    "logpush": InertKey("log push", is_minor=True),
    "migrations": InertKey("Durable Object migrations", is_minor=True),
    "minify": InertKey("bundling options", is_silent=True),
    "no_bundle": InertKey("bundling options", is_silent=True),
    "node_compat": InertKey("Node.js options", is_silent=True),
    "observability": InertKey("observability settings", is_minor=True),
    "pages_build_output_dir": InertKey("Pages projects"),
    "placement": InertKey("placement settings", is_minor=True),
    "preserve_file_names": InertKey("bundling options", is_silent=True),
    "preview_urls": InertKey("preview addresses", is_silent=True),
    "previews": InertKey("preview settings", is_minor=True),
    "route": InertKey("routes", is_minor=True),
    "routes": InertKey("routes", is_minor=True),
    "send_metrics": InertKey("usage metrics", is_silent=True),
    "site": InertKey("Workers Sites"),
    "streaming_tail_consumers": InertKey("tail workers", is_minor=True),
    "tail_consumers": InertKey("tail workers", is_minor=True),
    "tsconfig": InertKey("TypeScript options", is_silent=True),
    "upload_source_maps": InertKey("source maps", is_silent=True),
    "usage_model": InertKey("usage models", is_silent=True),
    "workers_dev": InertKey("workers.dev addresses", is_silent=True),
}
"""Every key of wrangler's that Longshore does not act upon."""

NON_INHERITABLE: Final = frozenset(
    {
        "ai",
        "ai_search",
        "ai_search_namespaces",
        "analytics_engine_datasets",
        "artifacts",
        "browser",
        "cloudchamber",
        "connect",
        "containers",
        "d1_databases",
        "define",
        "dispatch_namespaces",
        "durable_objects",
        "egress",
        "flagship",
        "hyperdrive",
        "images",
        "kv_namespaces",
        "media",
        "mtls_certificates",
        "pipelines",
        "queues",
        "r2_buckets",
        "ratelimits",
        "secrets",
        "secrets_store_secrets",
        "send_email",
        "services",
        "stream",
        "streaming_tail_consumers",
        "tail_consumers",
        "unsafe",
        "unsafe_hello_world",
        "vars",
        "vectorize",
        "version_metadata",
        "vpc_networks",
        "vpc_services",
        "worker_loaders",
        "workflows",
    }
)
"""Keys that ``env.<name>`` does not take over from the top level."""

TOP_LEVEL_ONLY: Final = frozenset(
    {
        "$schema",
        "alias",
        "data_blobs",
        "dev",
        "env",
        "keep_vars",
        "legacy_env",
        "pages_build_output_dir",
        "send_metrics",
        "site",
        "text_blobs",
        "wasm_modules",
    }
)
"""Keys that ``env.<name>`` may not have; its worker takes the top level's."""


def is_minor(key: str) -> bool:
    """Return whether a worker can do the same without this key of the top level."""
    return key in INERT_KEYS and INERT_KEYS[key].is_minor


def declared_bindings(key: str, value: object) -> Iterator[tuple[str, KeyPath]]:
    """Yield the binding names that an inert key declares, each with its path; what has another form yields none."""
    declaration = INERT_KEYS[key].bindings
    if declaration == "*":
        if isinstance(value, dict):
            yield from ((name, (key, name)) for name in value)
        return
    if declaration:
        yield from _names(value, declaration.split("."), (key,))


def _names(value: object, steps: list[str], path: KeyPath) -> Iterator[tuple[str, KeyPath]]:
    """Walk ``bindings[].name``: a step is a key, with ``[]`` for each item of the array below it."""
    if not steps:
        if isinstance(value, str) and value:
            yield value, path
        return
    key = steps[0].removesuffix("[]")
    if key:
        if not isinstance(value, dict) or key not in value:
            return
        value, path = value[key], (*path, key)
    if not steps[0].endswith("[]"):
        yield from _names(value, steps[1:], path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _names(item, steps[1:], (*path, index))
