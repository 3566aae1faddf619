"""What the documents of ScaiVault leave open, or say in two ways, and how the emulator decides it.

Each is inferred from pages about other resources or from what an SDK or the CLI offers; a
correction is a line here. Also assumed, each beside its code: a bucket holds the requests of a
minute, ``X-RateLimit-Reset`` is when it is full again, a deleted path reads as
``secret_not_found``, and a new version ends the expiry of the old one.
"""

from __future__ import annotations

VERSIONS_PATH = "/v1/secrets/{path*}/versions"
"""The SDK, the CLI and the MCP server can list versions; no page shows the URL."""
BATCH_METADATA_PATH = "/v1/secrets/batch/metadata"
"""Documented is only what it lies under. (Of metadata of one secret no URL is known, so there is none.)"""
UPDATE_METHOD = "PATCH"
"""Of a change of metadata; other resources are changed so. The keys that are sent are replaced, null takes one away."""
HARD = "permanent"
"""The query parameter of a hard delete: the name of the SDK's argument."""
WRITE_STATUS = 200
"""Of a PUT. Its answer is about the version that was made, without data."""
DELETE_STATUS = 204
"""Of a DELETE."""
MAX_VERSIONS = 10
"""Kept where ``options.max_versions`` is not given; the number in the samples."""
PAGE, MAX_PAGE = 50, 100
"""Items of a page: where ``limit`` is not given, and at most."""
CURSOR_SECONDS = 3600
"""After which a cursor is expired."""
DURATION = r"([0-9]{1,6})([hd])"
"""The two units that samples show."""
MAX_PATHS = 100
"""Of a batch; documented for reading values, assumed for metadata. More is a validation_error."""
