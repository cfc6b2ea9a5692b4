from node.wire import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LinkDirection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LINK_DIRECTION_UNSPECIFIED: _ClassVar[LinkDirection]
    LINK_DIRECTION_OUT: _ClassVar[LinkDirection]
    LINK_DIRECTION_IN: _ClassVar[LinkDirection]
    LINK_DIRECTION_BOTH: _ClassVar[LinkDirection]
LINK_DIRECTION_UNSPECIFIED: LinkDirection
LINK_DIRECTION_OUT: LinkDirection
LINK_DIRECTION_IN: LinkDirection
LINK_DIRECTION_BOTH: LinkDirection

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NodeReport(_message.Message):
    __slots__ = ("bank", "bank_name", "software_version", "chain_id", "height", "block_id", "state_root", "time_ms", "last_seal_age_ms", "ready", "halted", "consensus", "peers", "mempool", "process", "database", "alarms", "faults", "faults_allowed", "cpu", "traffic", "performance")
    BANK_FIELD_NUMBER: _ClassVar[int]
    BANK_NAME_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_ROOT_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_SEAL_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    HALTED_FIELD_NUMBER: _ClassVar[int]
    CONSENSUS_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    MEMPOOL_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    ALARMS_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    FAULTS_ALLOWED_FIELD_NUMBER: _ClassVar[int]
    CPU_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    PERFORMANCE_FIELD_NUMBER: _ClassVar[int]
    bank: int
    bank_name: str
    software_version: str
    chain_id: bytes
    height: int
    block_id: bytes
    state_root: bytes
    time_ms: int
    last_seal_age_ms: int
    ready: bool
    halted: str
    consensus: ConsensusReport
    peers: _containers.RepeatedCompositeFieldContainer[PeerReport]
    mempool: MempoolReport
    process: ProcessReport
    database: DatabaseReport
    alarms: _containers.RepeatedCompositeFieldContainer[AlarmReport]
    faults: _containers.RepeatedCompositeFieldContainer[FaultReport]
    faults_allowed: bool
    cpu: CpuReport
    traffic: TrafficReport
    performance: PerformanceReport
    def __init__(self, bank: _Optional[int] = ..., bank_name: _Optional[str] = ..., software_version: _Optional[str] = ..., chain_id: _Optional[bytes] = ..., height: _Optional[int] = ..., block_id: _Optional[bytes] = ..., state_root: _Optional[bytes] = ..., time_ms: _Optional[int] = ..., last_seal_age_ms: _Optional[int] = ..., ready: _Optional[bool] = ..., halted: _Optional[str] = ..., consensus: _Optional[_Union[ConsensusReport, _Mapping]] = ..., peers: _Optional[_Iterable[_Union[PeerReport, _Mapping]]] = ..., mempool: _Optional[_Union[MempoolReport, _Mapping]] = ..., process: _Optional[_Union[ProcessReport, _Mapping]] = ..., database: _Optional[_Union[DatabaseReport, _Mapping]] = ..., alarms: _Optional[_Iterable[_Union[AlarmReport, _Mapping]]] = ..., faults: _Optional[_Iterable[_Union[FaultReport, _Mapping]]] = ..., faults_allowed: _Optional[bool] = ..., cpu: _Optional[_Union[CpuReport, _Mapping]] = ..., traffic: _Optional[_Union[TrafficReport, _Mapping]] = ..., performance: _Optional[_Union[PerformanceReport, _Mapping]] = ...) -> None: ...

class ConsensusReport(_message.Message):
    __slots__ = ("height", "view", "leader", "active_banks", "quorum", "has_work", "approvals", "rejections", "commits", "timed_out", "missing", "margin", "highest_view", "refused", "last_refusal", "waiting_for", "behind", "active", "accused")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_BANKS_FIELD_NUMBER: _ClassVar[int]
    QUORUM_FIELD_NUMBER: _ClassVar[int]
    HAS_WORK_FIELD_NUMBER: _ClassVar[int]
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    REJECTIONS_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    TIMED_OUT_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    HIGHEST_VIEW_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    LAST_REFUSAL_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    BEHIND_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    ACCUSED_FIELD_NUMBER: _ClassVar[int]
    height: int
    view: int
    leader: int
    active_banks: int
    quorum: int
    has_work: bool
    approvals: _containers.RepeatedScalarFieldContainer[int]
    rejections: _containers.RepeatedScalarFieldContainer[int]
    commits: _containers.RepeatedScalarFieldContainer[int]
    timed_out: _containers.RepeatedScalarFieldContainer[int]
    missing: _containers.RepeatedScalarFieldContainer[int]
    margin: int
    highest_view: int
    refused: _containers.RepeatedCompositeFieldContainer[RefusedReport]
    last_refusal: str
    waiting_for: str
    behind: bool
    active: bool
    accused: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, height: _Optional[int] = ..., view: _Optional[int] = ..., leader: _Optional[int] = ..., active_banks: _Optional[int] = ..., quorum: _Optional[int] = ..., has_work: _Optional[bool] = ..., approvals: _Optional[_Iterable[int]] = ..., rejections: _Optional[_Iterable[int]] = ..., commits: _Optional[_Iterable[int]] = ..., timed_out: _Optional[_Iterable[int]] = ..., missing: _Optional[_Iterable[int]] = ..., margin: _Optional[int] = ..., highest_view: _Optional[int] = ..., refused: _Optional[_Iterable[_Union[RefusedReport, _Mapping]]] = ..., last_refusal: _Optional[str] = ..., waiting_for: _Optional[str] = ..., behind: _Optional[bool] = ..., active: _Optional[bool] = ..., accused: _Optional[_Iterable[int]] = ...) -> None: ...

class RefusedReport(_message.Message):
    __slots__ = ("bank", "messages")
    BANK_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    bank: int
    messages: int
    def __init__(self, bank: _Optional[int] = ..., messages: _Optional[int] = ...) -> None: ...

class PeerReport(_message.Message):
    __slots__ = ("bank", "address", "linked_out", "linked_in", "height", "last_heard_ms", "queued_items", "queued_bytes", "sent_frames", "sent_items", "sent_bytes", "dropped_transactions", "dropped_messages", "connections", "last_error")
    BANK_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LINKED_OUT_FIELD_NUMBER: _ClassVar[int]
    LINKED_IN_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    LAST_HEARD_MS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_ITEMS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_BYTES_FIELD_NUMBER: _ClassVar[int]
    SENT_FRAMES_FIELD_NUMBER: _ClassVar[int]
    SENT_ITEMS_FIELD_NUMBER: _ClassVar[int]
    SENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    bank: int
    address: str
    linked_out: bool
    linked_in: bool
    height: int
    last_heard_ms: int
    queued_items: int
    queued_bytes: int
    sent_frames: int
    sent_items: int
    sent_bytes: int
    dropped_transactions: int
    dropped_messages: int
    connections: int
    last_error: str
    def __init__(self, bank: _Optional[int] = ..., address: _Optional[str] = ..., linked_out: _Optional[bool] = ..., linked_in: _Optional[bool] = ..., height: _Optional[int] = ..., last_heard_ms: _Optional[int] = ..., queued_items: _Optional[int] = ..., queued_bytes: _Optional[int] = ..., sent_frames: _Optional[int] = ..., sent_items: _Optional[int] = ..., sent_bytes: _Optional[int] = ..., dropped_transactions: _Optional[int] = ..., dropped_messages: _Optional[int] = ..., connections: _Optional[int] = ..., last_error: _Optional[str] = ...) -> None: ...

class MempoolReport(_message.Message):
    __slots__ = ("transactions", "bytes", "capacity_transactions", "capacity_bytes", "admitted", "refused", "batches")
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_BYTES_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    transactions: int
    bytes: int
    capacity_transactions: int
    capacity_bytes: int
    admitted: int
    refused: int
    batches: int
    def __init__(self, transactions: _Optional[int] = ..., bytes: _Optional[int] = ..., capacity_transactions: _Optional[int] = ..., capacity_bytes: _Optional[int] = ..., admitted: _Optional[int] = ..., refused: _Optional[int] = ..., batches: _Optional[int] = ...) -> None: ...

class ProcessReport(_message.Message):
    __slots__ = ("pid", "uptime_ms", "resident_bytes", "cpu_ms")
    PID_FIELD_NUMBER: _ClassVar[int]
    UPTIME_MS_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    CPU_MS_FIELD_NUMBER: _ClassVar[int]
    pid: int
    uptime_ms: int
    resident_bytes: int
    cpu_ms: int
    def __init__(self, pid: _Optional[int] = ..., uptime_ms: _Optional[int] = ..., resident_bytes: _Optional[int] = ..., cpu_ms: _Optional[int] = ...) -> None: ...

class CpuReport(_message.Message):
    __slots__ = ("verify_ms", "consensus_ms", "database_ms", "network_ms", "other_ms", "total_ms")
    VERIFY_MS_FIELD_NUMBER: _ClassVar[int]
    CONSENSUS_MS_FIELD_NUMBER: _ClassVar[int]
    DATABASE_MS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_MS_FIELD_NUMBER: _ClassVar[int]
    OTHER_MS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MS_FIELD_NUMBER: _ClassVar[int]
    verify_ms: int
    consensus_ms: int
    database_ms: int
    network_ms: int
    other_ms: int
    total_ms: int
    def __init__(self, verify_ms: _Optional[int] = ..., consensus_ms: _Optional[int] = ..., database_ms: _Optional[int] = ..., network_ms: _Optional[int] = ..., other_ms: _Optional[int] = ..., total_ms: _Optional[int] = ...) -> None: ...

class TrafficReport(_message.Message):
    __slots__ = ("peers_sent_bytes", "peers_received_bytes", "clients_sent_bytes", "clients_received_bytes")
    PEERS_SENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    PEERS_RECEIVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_SENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_RECEIVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    peers_sent_bytes: int
    peers_received_bytes: int
    clients_sent_bytes: int
    clients_received_bytes: int
    def __init__(self, peers_sent_bytes: _Optional[int] = ..., peers_received_bytes: _Optional[int] = ..., clients_sent_bytes: _Optional[int] = ..., clients_received_bytes: _Optional[int] = ...) -> None: ...

class DatabaseReport(_message.Message):
    __slots__ = ("connected", "server_version", "size_bytes")
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    connected: bool
    server_version: str
    size_bytes: int
    def __init__(self, connected: _Optional[bool] = ..., server_version: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class PerformanceReport(_message.Message):
    __slots__ = ("sealed_transactions", "sealed_blocks", "window_ms", "window_transactions", "sealed_per_second", "finality_ms_p50", "finality_ms_p95", "finality_ms_p99", "verify_ms_p50", "vote_ms_p50", "seal_ms_p50", "apply_ms_p50")
    SEALED_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    SEALED_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_MS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    SEALED_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    FINALITY_MS_P50_FIELD_NUMBER: _ClassVar[int]
    FINALITY_MS_P95_FIELD_NUMBER: _ClassVar[int]
    FINALITY_MS_P99_FIELD_NUMBER: _ClassVar[int]
    VERIFY_MS_P50_FIELD_NUMBER: _ClassVar[int]
    VOTE_MS_P50_FIELD_NUMBER: _ClassVar[int]
    SEAL_MS_P50_FIELD_NUMBER: _ClassVar[int]
    APPLY_MS_P50_FIELD_NUMBER: _ClassVar[int]
    sealed_transactions: int
    sealed_blocks: int
    window_ms: int
    window_transactions: int
    sealed_per_second: float
    finality_ms_p50: float
    finality_ms_p95: float
    finality_ms_p99: float
    verify_ms_p50: float
    vote_ms_p50: float
    seal_ms_p50: float
    apply_ms_p50: float
    def __init__(self, sealed_transactions: _Optional[int] = ..., sealed_blocks: _Optional[int] = ..., window_ms: _Optional[int] = ..., window_transactions: _Optional[int] = ..., sealed_per_second: _Optional[float] = ..., finality_ms_p50: _Optional[float] = ..., finality_ms_p95: _Optional[float] = ..., finality_ms_p99: _Optional[float] = ..., verify_ms_p50: _Optional[float] = ..., vote_ms_p50: _Optional[float] = ..., seal_ms_p50: _Optional[float] = ..., apply_ms_p50: _Optional[float] = ...) -> None: ...

class AlarmReport(_message.Message):
    __slots__ = ("kind", "text", "time_ms")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    text: str
    time_ms: int
    def __init__(self, kind: _Optional[str] = ..., text: _Optional[str] = ..., time_ms: _Optional[int] = ...) -> None: ...

class ShutdownRequest(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class ShutdownResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetDigestsRequest(_message.Message):
    __slots__ = ("from_height", "at_height")
    FROM_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    AT_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    from_height: int
    at_height: int
    def __init__(self, from_height: _Optional[int] = ..., at_height: _Optional[int] = ...) -> None: ...

class LedgerDigests(_message.Message):
    __slots__ = ("from_height", "at_height", "block_ids", "state_root", "transaction_count", "nullifier_count", "nullifier_digest", "note_count", "note_digest", "voting_record_count", "voting_record_digest", "treasury_count", "tip_height", "treasury_digest")
    FROM_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    AT_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_IDS_FIELD_NUMBER: _ClassVar[int]
    STATE_ROOT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    NULLIFIER_COUNT_FIELD_NUMBER: _ClassVar[int]
    NULLIFIER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    NOTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    NOTE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    VOTING_RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    VOTING_RECORD_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TREASURY_COUNT_FIELD_NUMBER: _ClassVar[int]
    TIP_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TREASURY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    from_height: int
    at_height: int
    block_ids: _containers.RepeatedScalarFieldContainer[bytes]
    state_root: bytes
    transaction_count: int
    nullifier_count: int
    nullifier_digest: bytes
    note_count: int
    note_digest: bytes
    voting_record_count: int
    voting_record_digest: bytes
    treasury_count: int
    tip_height: int
    treasury_digest: bytes
    def __init__(self, from_height: _Optional[int] = ..., at_height: _Optional[int] = ..., block_ids: _Optional[_Iterable[bytes]] = ..., state_root: _Optional[bytes] = ..., transaction_count: _Optional[int] = ..., nullifier_count: _Optional[int] = ..., nullifier_digest: _Optional[bytes] = ..., note_count: _Optional[int] = ..., note_digest: _Optional[bytes] = ..., voting_record_count: _Optional[int] = ..., voting_record_digest: _Optional[bytes] = ..., treasury_count: _Optional[int] = ..., tip_height: _Optional[int] = ..., treasury_digest: _Optional[bytes] = ...) -> None: ...

class ListBlocksRequest(_message.Message):
    __slots__ = ("from_height", "to_height")
    FROM_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TO_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    from_height: int
    to_height: int
    def __init__(self, from_height: _Optional[int] = ..., to_height: _Optional[int] = ...) -> None: ...

class AuditTransactionsRequest(_message.Message):
    __slots__ = ("seed", "sample_size", "everything")
    SEED_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_SIZE_FIELD_NUMBER: _ClassVar[int]
    EVERYTHING_FIELD_NUMBER: _ClassVar[int]
    seed: bytes
    sample_size: int
    everything: bool
    def __init__(self, seed: _Optional[bytes] = ..., sample_size: _Optional[int] = ..., everything: _Optional[bool] = ...) -> None: ...

class AuditReport(_message.Message):
    __slots__ = ("checked", "total", "failures", "done")
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    checked: int
    total: int
    failures: _containers.RepeatedCompositeFieldContainer[AuditFailure]
    done: bool
    def __init__(self, checked: _Optional[int] = ..., total: _Optional[int] = ..., failures: _Optional[_Iterable[_Union[AuditFailure, _Mapping]]] = ..., done: _Optional[bool] = ...) -> None: ...

class AuditFailure(_message.Message):
    __slots__ = ("transaction_id", "height", "reason", "message")
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    transaction_id: bytes
    height: int
    reason: str
    message: str
    def __init__(self, transaction_id: _Optional[bytes] = ..., height: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class SetLogLevelRequest(_message.Message):
    __slots__ = ("level",)
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    level: str
    def __init__(self, level: _Optional[str] = ...) -> None: ...

class SetLogLevelResponse(_message.Message):
    __slots__ = ("previous_level",)
    PREVIOUS_LEVEL_FIELD_NUMBER: _ClassVar[int]
    previous_level: str
    def __init__(self, previous_level: _Optional[str] = ...) -> None: ...

class LinkFault(_message.Message):
    __slots__ = ("peers", "direction", "cut", "delay_ms", "jitter_ms", "loss_per_mille")
    PEERS_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    CUT_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    JITTER_MS_FIELD_NUMBER: _ClassVar[int]
    LOSS_PER_MILLE_FIELD_NUMBER: _ClassVar[int]
    peers: _containers.RepeatedScalarFieldContainer[int]
    direction: LinkDirection
    cut: bool
    delay_ms: int
    jitter_ms: int
    loss_per_mille: int
    def __init__(self, peers: _Optional[_Iterable[int]] = ..., direction: _Optional[_Union[LinkDirection, str]] = ..., cut: _Optional[bool] = ..., delay_ms: _Optional[int] = ..., jitter_ms: _Optional[int] = ..., loss_per_mille: _Optional[int] = ...) -> None: ...

class ByzantineFault(_message.Message):
    __slots__ = ("style", "seed")
    STYLE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    style: str
    seed: int
    def __init__(self, style: _Optional[str] = ..., seed: _Optional[int] = ...) -> None: ...

class InjectFaultRequest(_message.Message):
    __slots__ = ("link", "byzantine")
    LINK_FIELD_NUMBER: _ClassVar[int]
    BYZANTINE_FIELD_NUMBER: _ClassVar[int]
    link: LinkFault
    byzantine: ByzantineFault
    def __init__(self, link: _Optional[_Union[LinkFault, _Mapping]] = ..., byzantine: _Optional[_Union[ByzantineFault, _Mapping]] = ...) -> None: ...

class HealFaultsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FaultsResponse(_message.Message):
    __slots__ = ("faults",)
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    faults: _containers.RepeatedCompositeFieldContainer[FaultReport]
    def __init__(self, faults: _Optional[_Iterable[_Union[FaultReport, _Mapping]]] = ...) -> None: ...

class FaultReport(_message.Message):
    __slots__ = ("kind", "text", "peers", "age_ms")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    AGE_MS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    text: str
    peers: _containers.RepeatedScalarFieldContainer[int]
    age_ms: int
    def __init__(self, kind: _Optional[str] = ..., text: _Optional[str] = ..., peers: _Optional[_Iterable[int]] = ..., age_ms: _Optional[int] = ...) -> None: ...

class GetRoundRequest(_message.Message):
    __slots__ = ("height",)
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    height: int
    def __init__(self, height: _Optional[int] = ...) -> None: ...

class RoundReport(_message.Message):
    __slots__ = ("bank", "height", "events")
    BANK_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    bank: int
    height: int
    events: _containers.RepeatedCompositeFieldContainer[RoundEvent]
    def __init__(self, bank: _Optional[int] = ..., height: _Optional[int] = ..., events: _Optional[_Iterable[_Union[RoundEvent, _Mapping]]] = ...) -> None: ...

class RoundEvent(_message.Message):
    __slots__ = ("kind", "view", "at_us", "duration_us", "bank")
    KIND_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    DURATION_US_FIELD_NUMBER: _ClassVar[int]
    BANK_FIELD_NUMBER: _ClassVar[int]
    kind: str
    view: int
    at_us: int
    duration_us: int
    bank: int
    def __init__(self, kind: _Optional[str] = ..., view: _Optional[int] = ..., at_us: _Optional[int] = ..., duration_us: _Optional[int] = ..., bank: _Optional[int] = ...) -> None: ...

class GetTransactionTraceRequest(_message.Message):
    __slots__ = ("transaction_id",)
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    transaction_id: bytes
    def __init__(self, transaction_id: _Optional[bytes] = ...) -> None: ...

class TransactionTrace(_message.Message):
    __slots__ = ("bank", "transaction_id", "source", "checks", "events")
    BANK_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    bank: int
    transaction_id: bytes
    source: str
    checks: _containers.RepeatedCompositeFieldContainer[TransactionCheck]
    events: _containers.RepeatedCompositeFieldContainer[TransactionEvent]
    def __init__(self, bank: _Optional[int] = ..., transaction_id: _Optional[bytes] = ..., source: _Optional[str] = ..., checks: _Optional[_Iterable[_Union[TransactionCheck, _Mapping]]] = ..., events: _Optional[_Iterable[_Union[TransactionEvent, _Mapping]]] = ...) -> None: ...

class TransactionCheck(_message.Message):
    __slots__ = ("name", "passed", "duration_us", "batch", "message")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    DURATION_US_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    passed: bool
    duration_us: int
    batch: int
    message: str
    def __init__(self, name: _Optional[str] = ..., passed: _Optional[bool] = ..., duration_us: _Optional[int] = ..., batch: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class TransactionEvent(_message.Message):
    __slots__ = ("kind", "at_us", "detail")
    KIND_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    kind: str
    at_us: int
    detail: str
    def __init__(self, kind: _Optional[str] = ..., at_us: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...
