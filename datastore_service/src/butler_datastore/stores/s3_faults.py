# SPDX-License-Identifier: BSD-3-Clause
"""What the answers of an S3 server mean in the catalogue of errors."""

from __future__ import annotations

__all__ = ["fault"]

from butler_model.errors import (
    ArtifactExistsError,
    ArtifactNotFoundError,
    ButlerError,
    ConfigurationError,
    LimitExceededError,
    ServiceUnavailableError,
    StoreFullError,
)

_DENIED = {401, 403}
_FULL = {
    "InsufficientStorage",
    "QuotaExceeded",
    "ServiceQuotaExceededException",
    "XMinioAdminBucketQuotaExceeded",
    "XMinioStorageFull",
}
# These come with a status of the 400s, but to repeat the request is right.
_TRANSIENT = {
    "BadDigest",
    "IncompleteBody",
    "InternalError",
    "NoSuchUpload",
    "RequestTimeout",
    "SlowDown",
    "XAmzContentSHA256Mismatch",
}


def fault(action: str, bucket: str, key: str, status: int, code: str, text: str) -> ButlerError:
    """Return the error for an answer that says no, after all retries.

    Parameters
    ----------
    action
        What was to be done, such as ``write``.
    status, code, text
        The HTTP status, and S3's own code and message for it.
    """
    what = f"The object {key!r} of the bucket {bucket!r}"
    answer = f"{status} {code}" if code != str(status) else code
    place = {"key": key, "bucket": bucket}
    # Some that are full say so with a 403 or 500.
    if status == 507 or code in _FULL:
        return StoreFullError(
            f"{what} does not fit: the store has no room left ({answer}); tell its operator.", **place
        )
    if code == "NoSuchBucket":
        return ConfigurationError(
            f"There is no bucket {bucket!r} for the object {key!r}; make it, or correct the store's configuration.",
            **place,
        )
    if status >= 500 or status in {409, 429} or code in _TRANSIENT:
        return ServiceUnavailableError(
            f"{what} could not be {action}: its server answers {answer}; try again later.", **place
        )
    if status in _DENIED:
        return ConfigurationError(
            f"{what} may not be {action} with the credentials of this store ({answer}: {text}); correct them, or "
            "the policy of the bucket.",
            **place,
        )
    if status == 404:
        return ArtifactNotFoundError(f"There is no artifact {key!r} in the bucket {bucket!r}.", **place)
    if status == 412:
        return ArtifactExistsError(
            f"There is another artifact under the key {key!r}; artifacts are never replaced.", **place
        )
    if code == "EntityTooLarge":
        return LimitExceededError(f"{what} is larger than its server allows.", limit="size", **place)
    return ConfigurationError(
        f"{what} could not be {action}: its server refuses it ({answer}: {text}); check the store's configuration.",
        **place,
    )
