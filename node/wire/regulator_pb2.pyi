from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetRegulatorStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RegulatorStatus(_message.Message):
    __slots__ = ("chain_id", "software_version", "height", "time_ms", "drawn_blocks", "reverified_blocks", "alarms", "openings", "challenges", "opener_is_split", "settlements", "waiting_for", "challenge_counts", "executed_height", "accusations", "waiting_accusations")
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    DRAWN_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    REVERIFIED_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    ALARMS_FIELD_NUMBER: _ClassVar[int]
    OPENINGS_FIELD_NUMBER: _ClassVar[int]
    CHALLENGES_FIELD_NUMBER: _ClassVar[int]
    OPENER_IS_SPLIT_FIELD_NUMBER: _ClassVar[int]
    SETTLEMENTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_COUNTS_FIELD_NUMBER: _ClassVar[int]
    EXECUTED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ACCUSATIONS_FIELD_NUMBER: _ClassVar[int]
    WAITING_ACCUSATIONS_FIELD_NUMBER: _ClassVar[int]
    chain_id: bytes
    software_version: str
    height: int
    time_ms: int
    drawn_blocks: int
    reverified_blocks: int
    alarms: int
    openings: int
    challenges: int
    opener_is_split: bool
    settlements: _containers.RepeatedCompositeFieldContainer[SettlementStatus]
    waiting_for: str
    challenge_counts: _containers.RepeatedCompositeFieldContainer[ChallengeCounts]
    executed_height: int
    accusations: int
    waiting_accusations: int
    def __init__(self, chain_id: _Optional[bytes] = ..., software_version: _Optional[str] = ..., height: _Optional[int] = ..., time_ms: _Optional[int] = ..., drawn_blocks: _Optional[int] = ..., reverified_blocks: _Optional[int] = ..., alarms: _Optional[int] = ..., openings: _Optional[int] = ..., challenges: _Optional[int] = ..., opener_is_split: _Optional[bool] = ..., settlements: _Optional[_Iterable[_Union[SettlementStatus, _Mapping]]] = ..., waiting_for: _Optional[str] = ..., challenge_counts: _Optional[_Iterable[_Union[ChallengeCounts, _Mapping]]] = ..., executed_height: _Optional[int] = ..., accusations: _Optional[int] = ..., waiting_accusations: _Optional[int] = ...) -> None: ...

class ChallengeCounts(_message.Message):
    __slots__ = ("bank", "honest", "malicious", "open")
    BANK_FIELD_NUMBER: _ClassVar[int]
    HONEST_FIELD_NUMBER: _ClassVar[int]
    MALICIOUS_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    bank: int
    honest: int
    malicious: int
    open: int
    def __init__(self, bank: _Optional[int] = ..., honest: _Optional[int] = ..., malicious: _Optional[int] = ..., open: _Optional[int] = ...) -> None: ...

class SettlementStatus(_message.Message):
    __slots__ = ("fiscal_year", "transaction_id", "attempts", "sealed_height")
    FISCAL_YEAR_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    SEALED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    fiscal_year: int
    transaction_id: bytes
    attempts: int
    sealed_height: int
    def __init__(self, fiscal_year: _Optional[int] = ..., transaction_id: _Optional[bytes] = ..., attempts: _Optional[int] = ..., sealed_height: _Optional[int] = ...) -> None: ...

class ListAlarmsRequest(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    def __init__(self, limit: _Optional[int] = ...) -> None: ...

class AlarmList(_message.Message):
    __slots__ = ("alarms",)
    ALARMS_FIELD_NUMBER: _ClassVar[int]
    alarms: _containers.RepeatedCompositeFieldContainer[RegulatorAlarm]
    def __init__(self, alarms: _Optional[_Iterable[_Union[RegulatorAlarm, _Mapping]]] = ...) -> None: ...

class RegulatorAlarm(_message.Message):
    __slots__ = ("kind", "text", "bank", "height", "proof", "time_ms")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    BANK_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    text: str
    bank: int
    height: int
    proof: bytes
    time_ms: int
    def __init__(self, kind: _Optional[str] = ..., text: _Optional[str] = ..., bank: _Optional[int] = ..., height: _Optional[int] = ..., proof: _Optional[bytes] = ..., time_ms: _Optional[int] = ...) -> None: ...

class ListReverificationsRequest(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    def __init__(self, limit: _Optional[int] = ...) -> None: ...

class ReverificationList(_message.Message):
    __slots__ = ("reverifications",)
    REVERIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    reverifications: _containers.RepeatedCompositeFieldContainer[ReverificationRecord]
    def __init__(self, reverifications: _Optional[_Iterable[_Union[ReverificationRecord, _Mapping]]] = ...) -> None: ...

class ReverificationRecord(_message.Message):
    __slots__ = ("height", "block_id", "fiscal_year", "challenge", "bank", "result", "detail", "transactions", "time_ms")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_ID_FIELD_NUMBER: _ClassVar[int]
    FISCAL_YEAR_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    BANK_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    height: int
    block_id: bytes
    fiscal_year: int
    challenge: int
    bank: int
    result: str
    detail: str
    transactions: int
    time_ms: int
    def __init__(self, height: _Optional[int] = ..., block_id: _Optional[bytes] = ..., fiscal_year: _Optional[int] = ..., challenge: _Optional[int] = ..., bank: _Optional[int] = ..., result: _Optional[str] = ..., detail: _Optional[str] = ..., transactions: _Optional[int] = ..., time_ms: _Optional[int] = ...) -> None: ...

class ChallengeRequest(_message.Message):
    __slots__ = ("height", "reason")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    height: int
    reason: str
    def __init__(self, height: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class ChallengeResponse(_message.Message):
    __slots__ = ("challenge", "outcome")
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    challenge: int
    outcome: ReverificationRecord
    def __init__(self, challenge: _Optional[int] = ..., outcome: _Optional[_Union[ReverificationRecord, _Mapping]] = ...) -> None: ...

class ListOpeningsRequest(_message.Message):
    __slots__ = ("from_sequence",)
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    from_sequence: int
    def __init__(self, from_sequence: _Optional[int] = ...) -> None: ...

class OpeningList(_message.Message):
    __slots__ = ("openings",)
    OPENINGS_FIELD_NUMBER: _ClassVar[int]
    openings: _containers.RepeatedCompositeFieldContainer[AuditRecord]
    def __init__(self, openings: _Optional[_Iterable[_Union[AuditRecord, _Mapping]]] = ...) -> None: ...

class AuditRecord(_message.Message):
    __slots__ = ("sequence", "time_ms", "action", "actor", "event_data", "hash")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    EVENT_DATA_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    time_ms: int
    action: str
    actor: str
    event_data: str
    hash: bytes
    def __init__(self, sequence: _Optional[int] = ..., time_ms: _Optional[int] = ..., action: _Optional[str] = ..., actor: _Optional[str] = ..., event_data: _Optional[str] = ..., hash: _Optional[bytes] = ...) -> None: ...

class SubmitEvidenceRequest(_message.Message):
    __slots__ = ("item",)
    ITEM_FIELD_NUMBER: _ClassVar[int]
    item: bytes
    def __init__(self, item: _Optional[bytes] = ...) -> None: ...

class SubmitEvidenceResponse(_message.Message):
    __slots__ = ("evidence_id",)
    EVIDENCE_ID_FIELD_NUMBER: _ClassVar[int]
    evidence_id: bytes
    def __init__(self, evidence_id: _Optional[bytes] = ...) -> None: ...
