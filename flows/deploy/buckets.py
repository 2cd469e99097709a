"""Make the S3 buckets that are missing: `python -m flows.deploy.buckets NAME...`, with the environment boto3 reads."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import boto3
from botocore.exceptions import BotoCoreError, ClientError

PATIENCE_SECONDS = 60.0
"""Longest wait for a server that is started at the same time."""


def make_buckets(names: Sequence[str]) -> None:
    """Make every bucket that is not there; one that is stays as it is."""
    client = boto3.client("s3")
    deadline = time.monotonic() + PATIENCE_SECONDS
    for name in names:
        while True:
            try:
                client.head_bucket(Bucket=name)
            except ClientError as error:
                if error.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
                    raise
                where = client.meta.region_name
                place = {} if where == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": where}}
                client.create_bucket(Bucket=name, **place)
            except BotoCoreError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
                continue
            break


def main() -> None:
    """Make the buckets of the command line, or end with one sentence."""
    try:
        make_buckets(sys.argv[1:])
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"the buckets could not be made: {error}. Correct S3_ENDPOINT and its keys.")


if __name__ == "__main__":
    main()
