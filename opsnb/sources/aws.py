"""The door to AWS, for releases whose functions assume a role there. Needs the extra `aws`."""

from __future__ import annotations

import importlib
import json
import re
from typing import Any

import pandas as pd
from pydantic import SecretStr

from opsnb.errors import SourceDenied, SourceError
from opsnb.facts import asked

SOURCE = "aws"
WELL = "well-formed"
THERE = "it is there"
ASSUMED = "it can be assumed"
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/([\w+=,.@/-]+)")
_WAIT_S = 5
_NOTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
"""What the session of an assumed role may do: whether it can be had is all that is asked."""
_DENIED = ("AccessDenied", "AccessDeniedException")
_NOT_THERE = ("NoSuchEntity", "NoSuchEntityException")


class Aws:
    """One AWS account, with whatever credentials boto3 finds."""

    def __init__(self, region: str) -> None:
        self._region = region

    @asked(SOURCE)
    def role(self, arn: SecretStr, *, ask: str = "get_role") -> tuple[str, pd.DataFrame]:
        """One row about the role: asked, ok, finding; its ARN is not shown.

        *ask*: ``shape`` asks nobody, ``get_role`` whether it is there, ``assume_role`` whether these credentials can become it: for the
        shortest time there is, and allowed nothing.
        """
        matched = _ROLE.fullmatch(arn.get_secret_value())
        if matched is None:
            return _told("the form of the role's ARN", False, "it is not of the form arn:aws:iam::<account>:role/<name>")
        if ask == "shape":
            return _told("the form of the role's ARN", True, WELL)
        return self._assumed(arn) if ask == "assume_role" else self._there(arn, matched[1], matched[2].rpartition("/")[2])

    def _there(self, arn: SecretStr, account: str, name: str) -> tuple[str, pd.DataFrame]:
        try:
            own = self._client("sts").get_caller_identity()["Account"]
        except Exception as error:
            raise _unasked(error, _code(error)) from None
        if own != account:  # get-role looks in the caller's account alone: its answer would be about a namesake
            raise SourceDenied(
                "the role is of another account than these credentials, which cannot look it up; let the release `ask: assume_role`, "
                "or give credentials of the role's account", source=SOURCE,
            )  # fmt: skip
        try:
            found = self._client("iam").get_role(RoleName=name)["Role"]["Arn"]
        except Exception as error:  # botocore's errors share no public base that says more
            code = _code(error)
            if code in _NOT_THERE:
                return _told("iam get-role", False, "there is no such role")
            if code in _DENIED:
                raise SourceDenied("the credentials may not ask for the role (iam:GetRole)", source=SOURCE) from None
            raise _unasked(error, code) from None
        if found != arn.get_secret_value():
            return _told("iam get-role", False, "the role of that name stands at another path")
        return _told("iam get-role", True, THERE)

    def _assumed(self, arn: SecretStr) -> tuple[str, pd.DataFrame]:
        try:
            self._client("sts").assume_role(
                RoleArn=arn.get_secret_value(), RoleSessionName="opsnb", DurationSeconds=900, Policy=json.dumps(_NOTHING)
            )
        except Exception as error:
            code = _code(error)
            if code in _DENIED:  # AWS says the same of a role that is not there
                return _told("sts assume-role", False, "AWS does not let these credentials assume it, or it is not there")
            raise _unasked(error, code) from None
        return _told("sts assume-role", True, ASSUMED)

    def _client(self, service: str) -> Any:
        try:
            boto3, config = importlib.import_module("boto3"), importlib.import_module("botocore.config")
        except ImportError:
            raise SourceError("asking AWS needs boto3: install opsnb with the extra `aws`", source=SOURCE) from None
        patience = config.Config(connect_timeout=_WAIT_S, read_timeout=2 * _WAIT_S, retries={"total_max_attempts": 2})
        # a session of its own: the shared one keeps credentials that may have expired
        return boto3.session.Session().client(service, region_name=self._region, config=patience)


def _told(question: str, ok: bool, finding: str) -> tuple[str, pd.DataFrame]:
    return question, pd.DataFrame([{"asked": question, "ok": ok, "finding": finding}])


def _code(error: Exception) -> str:
    """AWS's own name of a refusal; '' for anything else."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return code if isinstance(code, str) else ""


def _unasked(error: Exception, code: str) -> SourceError:
    # the message may hold the account, the role or a key's id
    if isinstance(error, SourceError):
        return error
    named = code if re.fullmatch(r"[A-Za-z0-9_.]{1,64}", code) else type(error).__name__
    return SourceError(f"AWS could not be asked ({named}); look at the credentials boto3 finds here", source=SOURCE)
