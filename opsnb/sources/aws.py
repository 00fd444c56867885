"""The door to AWS, for releases whose functions assume a role there. Needs the extra `aws`."""

from __future__ import annotations

import importlib
import re

import pandas as pd

from opsnb.errors import SourceError, UsageError
from opsnb.facts import asked

SOURCE = "aws"
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/([\w+=,.@/-]+)")


class Aws:
    """One AWS account, with whatever credentials boto3 finds."""

    def __init__(self, region: str) -> None:
        self._region = region

    @asked(SOURCE)
    def role(self, arn: str) -> tuple[str, pd.DataFrame]:
        """One row: whether the role *arn* exists. Its ARN is not shown."""
        matched = _ROLE.fullmatch(arn)
        if matched is None:
            raise SourceError("the role's ARN is not of the form arn:aws:iam::<account>:role/<name>", source=SOURCE)
        try:
            boto3 = importlib.import_module("boto3")
        except ImportError:
            raise UsageError("the environment names an AWS role: install opsnb with the extra `aws`") from None
        client = boto3.client("iam", region_name=self._region)
        try:
            client.get_role(RoleName=matched[1].rpartition("/")[2])
        except client.exceptions.NoSuchEntityException:
            return "iam get-role", pd.DataFrame([{"exists": False}])
        except Exception as error:  # botocore's errors share no public base that says more
            raise SourceError(f"AWS could not be asked ({type(error).__name__})", source=SOURCE) from None
        return "iam get-role", pd.DataFrame([{"exists": True}])
