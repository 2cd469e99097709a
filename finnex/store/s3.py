"""Requests to S3, through s3fs: any endpoint that speaks S3 and knows conditional writes."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from finnex.errors import ConfigError
from finnex.store_path import S3_OPTIONS

CONFLICT = {"ConditionalRequestConflict", "OperationAborted", "409"}
REFUSAL = {"PreconditionFailed", "412", *CONFLICT}
CONFLICTS = 5
"""Times that S3 may answer 'another request for this key is under way' before it is taken as a refusal."""
CONFLICT_SECONDS = 0.2
Target = dict[str, str]
"""Bucket and key of an object, as boto3 names them."""


class Version(NamedTuple):
    """What S3 says of an object: equal for equal bytes, another one after every other write."""

    etag: str
    size: int


def filesystem() -> Any:
    """Return the file system of this process.

    Raises
    ------
    ConfigError
        s3fs is not installed.
    """
    try:
        import s3fs  # noqa: PLC0415  an extra, and a second of import
    except ImportError:
        raise ConfigError('a store on s3:// needs the package s3fs. Run: pip install "finnex[s3]"') from None
    return s3fs.S3FileSystem(**S3_OPTIONS)


def out_of_reach() -> tuple[type[Exception], ...]:
    """Return what is raised where S3 refuses or cannot be reached."""
    try:
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ImportError:
        return (OSError,)
    return (OSError, BotoCoreError)


def read(files: Any, target: Target) -> tuple[bytes, str] | None:
    """Return the bytes of an object and their ETag, from one answer; None where there is none."""
    from fsspec.asyn import sync  # noqa: PLC0415

    async def ask() -> tuple[bytes, str]:
        answer = await files._call_s3("get_object", **target)  # the public methods give no ETag
        async with answer["Body"] as body:
            return bytes(await body.read()), str(answer["ETag"])

    try:
        found: tuple[bytes, str] = sync(files.loop, ask)
    except FileNotFoundError:
        return None
    return found


def put_if(files: Any, target: Target, data: bytes, etag: str | None) -> str | None:
    """Write an object only where `etag` lies there now, or nothing where it is None; return the new ETag.

    None is a refusal. A request that is sent again because its answer was lost is no refusal: the very bytes lie there.

    Parameters
    ----------
    files
        The file system of the bucket.
    target
        Bucket and key of the object.
    data
        Bytes to write.
    etag
        ETag that the object must have; None where there must be no object.

    Returns
    -------
    str or None
        The new ETag; None where another object lies there.
    """
    condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
    try:
        return str(_asked(files, "put_object", **target, Body=data, **condition)["ETag"])
    except FileNotFoundError:
        if etag is None:  # there is no such bucket
            raise
    except OSError as error:
        if _code(error) not in REFUSAL:
            raise
    found = read(files, target)
    return found[1] if found is not None and found[0] == data else None


def delete_if(files: Any, target: Target, etag: str) -> bool:
    """Remove an object only where `etag` lies there now; return whether nothing lies there."""
    try:
        _asked(files, "delete_object", **target, IfMatch=etag)
    except FileNotFoundError:
        return True
    except OSError as error:
        if _code(error) not in REFUSAL:
            raise
        return read(files, target) is None
    return True


def versions(files: Any, bucket: str, prefix: str) -> dict[str, Version]:
    """Return the versions of all objects below a prefix, by their key without it: a request a thousand."""
    found: dict[str, Version] = {}
    more: dict[str, str] = {}
    while True:
        answer = files.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **more)
        for one in answer.get("Contents", ()):
            found[one["Key"][len(prefix) :]] = Version(str(one["ETag"]), int(one["Size"]))
        if not answer.get("IsTruncated"):
            return found
        more = {"ContinuationToken": answer["NextContinuationToken"]}


def _asked(files: Any, method: str, **about: Any) -> Any:
    for attempt in range(CONFLICTS):
        try:
            return files.call_s3(method, **about)
        except OSError as error:
            if _code(error) not in CONFLICT or attempt == CONFLICTS - 1:
                raise
        time.sleep(CONFLICT_SECONDS)
    raise AssertionError("the last attempt returns or raises")


def _code(error: OSError) -> str:
    """Return what S3 calls an error."""
    answer: dict[str, Any] = getattr(error.__cause__, "response", {})
    return str(answer.get("Error", {}).get("Code", ""))
