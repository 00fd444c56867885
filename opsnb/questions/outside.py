"""Questions about systems the functions talk to beside the platform, where the release asks for them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from opsnb.config import text_of
from opsnb.errors import ReferenceError_, SourceError, UsageError
from opsnb.facts import Facts, asked
from opsnb.questions.base import Base
from opsnb.sources import Absent


class OutsideQuestions(Base):
    """What a phase can be asked about an openEHR server and a role of AWS."""

    def openehr_reached(self) -> Facts:
        """How the openEHR server answers, with the digest of its address; `extra` is what the release expects."""
        rule, said = self.release.openehr, self.environment.openehr
        if rule is None:
            return self._not_in_release("openehr")
        if said is None:
            return Absent("openehr", f"the environment {self.environment.name} names no `openehr`").facts("openehr")

        @asked("openehr")
        def ask() -> Facts:
            try:
                url = text_of(said.url, self.root)
                return _with_digest(self.sources.openehr.reachable(rule.path), url)
            except (ReferenceError_, UsageError) as error:
                raise SourceError(str(error), source="openehr") from None

        return replace(ask(), extra={"variable": rule.variable, "statuses": rule.statuses})

    def aws_role(self) -> Facts:
        """What is found of the role, with the digest of its ARN; `extra` is what the release expects."""
        rule, said = self.release.aws, self.environment.aws
        if rule is None:
            return self._not_in_release("aws")
        if said is None or said.role_arn is None:
            return Absent("aws", f"the environment {self.environment.name} names no `aws.role_arn`").facts("aws")
        reference = said.role_arn

        @asked("aws")
        def ask() -> Facts:
            try:
                arn = reference.resolve(self.root)
            except ReferenceError_ as error:
                raise SourceError(str(error), source="aws") from None
            return _with_digest(self.sources.aws.role(arn, ask=rule.ask), arn.get_secret_value())

        return replace(ask(), extra={"variable": rule.variable})


def _with_digest(facts: Facts, value: str) -> Facts:
    if facts.answer is None:
        return facts
    return replace(facts, answer=facts.answer.assign(digest=hashlib.sha256(value.encode()).hexdigest()))
