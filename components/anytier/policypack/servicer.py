"""The pack's gRPC service, directly on Pulumi's protocol, as the provider's is.

`pulumi_policy` would do for the rules alone; but it takes the marks off secrets, so that a rule cannot see one in the
open, hands a stack's config to nobody, and reads every resource anew for each rule.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterable, Sequence
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

from anytier.policy.check import Finding, judge, sorted_out
from anytier.policy.registry import RULES, SECTIONS
from anytier.policy.rendered import all_of
from anytier.policy.resource import Context, Resource
from anytier.policy.rule import Rule
from anytier.policy.waivers import KEY, Waiver, read
from anytier.provider import values

NAME = "anytier"
WAIVERS = "waivers"  # what the pack says of these, under a name of its own
_ABOUT = "The security baseline of anytier's stacks"
_OF_ONE = tuple(rule for rule in RULES.values() if not rule.whole)
_OF_ALL = tuple(rule for rule in RULES.values() if rule.whole)
_ADVISORY, _MANDATORY, _DISABLED = (
    analyzer_pb2.EnforcementLevel.Value(name) for name in ("ADVISORY", "MANDATORY", "DISABLED")
)


class Servicer(analyzer_pb2_grpc.AnalyzerServicer):
    """One run of one stack. `done` is set when the engine needs it no longer."""

    def __init__(self, version: str, done: threading.Event) -> None:
        self._version, self._done = version, done
        self._waivers: Sequence[Waiver] = ()
        self._levels: dict[str, analyzer_pb2.EnforcementLevel.ValueType] = {}
        # What was registered, by URN: at the end of a run the engine only has what the providers said.
        self._inputs: dict[str, Resource] = {}
        self._used: set[Waiver] = set()
        self._lock = threading.Lock()

    # the pack itself

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return analyzer_pb2.AnalyzerHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=self._version)

    def GetAnalyzerInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        told = analyzer_pb2.PolicyInfo(
            name=WAIVERS,
            description="A waiver is of use",
            enforcementLevel=_ADVISORY,
            policy_type=analyzer_pb2.POLICY_TYPE_STACK,
        )
        policies = [*(_info(section, rule) for section, (_, rules) in SECTIONS.items() for rule in rules), told]
        return analyzer_pb2.AnalyzerInfo(
            name=NAME,
            displayName=NAME,
            version=self._version,
            description=_ABOUT,
            supportsConfig=True,
            policies=policies,
        )

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        """`--policy-pack-config`: a level for a rule, by its id."""
        self._levels = {name: item.enforcementLevel for name, item in request.policyConfig.items()}
        return Empty()

    def ConfigureStack(self, request: Any, context: grpc.ServicerContext) -> Any:
        waivers, wrong = read(request.config.get(f"anytier:{KEY}"), datetime.date.today())
        if wrong:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "\n".join(map(str, wrong)))
        self._waivers = waivers
        return analyzer_pb2.AnalyzerStackConfigureResponse()

    def Remediate(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Nothing is mended behind anybody's back."""
        return analyzer_pb2.RemediateResponse()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._done.set()
        return Empty()

    # resources

    def Analyze(self, request: Any, context: grpc.ServicerContext) -> Any:
        """One resource before anything is done about it."""
        resource = Resource(request.type, request.name, values.read(request.properties), request.urn)
        with self._lock:
            self._inputs[resource.urn] = resource
        around = Context(datetime.date.today())
        return self._answer([item for one in all_of([resource]) for item in judge(one, around, _OF_ONE)], around)

    def AnalyzeStack(self, request: Any, context: grpc.ServicerContext) -> Any:
        """All of them at the end of a run: the rules about several at once, and what became of waivers."""
        every = list(all_of(self._whole(item) for item in request.resources))
        around = Context(datetime.date.today(), every)
        answer = self._answer([item for one in every for item in judge(one, around, _OF_ALL)], around)
        for waiver in self._waivers:
            if waiver not in self._used:
                answer.diagnostics.append(self._told(f"covers nothing that breaks the rule: {waiver}"))
        return answer

    def _whole(self, item: Any) -> Resource:
        outputs, known = values.read(item.properties), self._inputs.get(item.urn)
        return Resource(
            item.type,
            item.name,
            known.props if known is not None else outputs,
            item.urn,
            outputs,
            tuple(item.dependencies),
            {name: tuple(found.urns) for name, found in item.propertyDependencies.items()},
        )

    def _answer(self, found: Iterable[Finding], around: Context) -> Any:
        report = sorted_out(found, self._waivers, around.today)
        with self._lock:
            self._used |= {waiver for waiver in self._waivers if waiver not in report.idle}
        shown = [self._diagnostic(item) for item in (*report.findings, *report.waived)]
        return analyzer_pb2.AnalyzeResponse(diagnostics=[item for item in shown if item is not None])

    def _diagnostic(self, item: Finding) -> Any:
        """None where the pack's config switches the rule off."""
        level = self._levels.get(item.rule.id, _MANDATORY if item.rule.mandatory else _ADVISORY)
        if level == _DISABLED:
            return None
        text = str(item)
        if item.waiver is not None:
            level, text = _ADVISORY, f"waived until {item.waiver.until} ({item.waiver.reason}): {text}"
        return analyzer_pb2.AnalyzeDiagnostic(
            policyName=item.rule.id,
            policyPackName=NAME,
            policyPackVersion=self._version,
            description=item.rule.title,
            message=f"{item.rule.title}\n{text}",
            enforcementLevel=level,
            urn=item.resource.urn,
            severity=_severity(item.rule),
        )

    def _told(self, text: str) -> Any:
        return analyzer_pb2.AnalyzeDiagnostic(
            policyName=WAIVERS,
            policyPackName=NAME,
            policyPackVersion=self._version,
            message=f"{text}\n-> take it out of anytier:{KEY}",
            enforcementLevel=_ADVISORY,
        )


def _info(section: str, rule: Rule) -> Any:
    kind = analyzer_pb2.POLICY_TYPE_STACK if rule.whole else analyzer_pb2.POLICY_TYPE_RESOURCE
    return analyzer_pb2.PolicyInfo(
        name=rule.id,
        displayName=rule.title,
        description=rule.title,
        message=rule.remedy,
        remediation_steps=rule.remedy,
        enforcementLevel=_MANDATORY if rule.mandatory else _ADVISORY,
        severity=_severity(rule),
        policy_type=kind,
        tags=[section, *rule.references],
    )


def _severity(rule: Rule) -> analyzer_pb2.PolicySeverity.ValueType:
    return analyzer_pb2.PolicySeverity.Value(f"POLICY_SEVERITY_{rule.severity.upper()}")
