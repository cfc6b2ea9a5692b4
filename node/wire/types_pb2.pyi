from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TransactionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRANSACTION_STATE_UNSPECIFIED: _ClassVar[TransactionState]
    TRANSACTION_STATE_UNKNOWN: _ClassVar[TransactionState]
    TRANSACTION_STATE_PENDING: _ClassVar[TransactionState]
    TRANSACTION_STATE_ADMITTED: _ClassVar[TransactionState]
    TRANSACTION_STATE_PROPOSED: _ClassVar[TransactionState]
    TRANSACTION_STATE_SEALED: _ClassVar[TransactionState]
    TRANSACTION_STATE_REJECTED: _ClassVar[TransactionState]
    TRANSACTION_STATE_EXPIRED: _ClassVar[TransactionState]
TRANSACTION_STATE_UNSPECIFIED: TransactionState
TRANSACTION_STATE_UNKNOWN: TransactionState
TRANSACTION_STATE_PENDING: TransactionState
TRANSACTION_STATE_ADMITTED: TransactionState
TRANSACTION_STATE_PROPOSED: TransactionState
TRANSACTION_STATE_SEALED: TransactionState
TRANSACTION_STATE_REJECTED: TransactionState
TRANSACTION_STATE_EXPIRED: TransactionState

class PublishedBlock(_message.Message):
    __slots__ = ("header", "block", "certificate", "transactions", "block_id", "height", "time_ms", "proposer", "transaction_count")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    PROPOSER_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    block: bytes
    certificate: bytes
    transactions: _containers.RepeatedScalarFieldContainer[bytes]
    block_id: bytes
    height: int
    time_ms: int
    proposer: int
    transaction_count: int
    def __init__(self, header: _Optional[bytes] = ..., block: _Optional[bytes] = ..., certificate: _Optional[bytes] = ..., transactions: _Optional[_Iterable[bytes]] = ..., block_id: _Optional[bytes] = ..., height: _Optional[int] = ..., time_ms: _Optional[int] = ..., proposer: _Optional[int] = ..., transaction_count: _Optional[int] = ...) -> None: ...

class SealedBlock(_message.Message):
    __slots__ = ("header", "block", "seal", "transactions")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    SEAL_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    block: bytes
    seal: bytes
    transactions: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, header: _Optional[bytes] = ..., block: _Optional[bytes] = ..., seal: _Optional[bytes] = ..., transactions: _Optional[_Iterable[bytes]] = ...) -> None: ...

class SetChange(_message.Message):
    __slots__ = ("header", "seal", "active_set")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SEAL_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_SET_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    seal: bytes
    active_set: bytes
    def __init__(self, header: _Optional[bytes] = ..., seal: _Optional[bytes] = ..., active_set: _Optional[bytes] = ...) -> None: ...

class SealedState(_message.Message):
    __slots__ = ("header", "seal", "state", "set_changes")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SEAL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SET_CHANGES_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    seal: bytes
    state: bytes
    set_changes: _containers.RepeatedCompositeFieldContainer[SetChange]
    def __init__(self, header: _Optional[bytes] = ..., seal: _Optional[bytes] = ..., state: _Optional[bytes] = ..., set_changes: _Optional[_Iterable[_Union[SetChange, _Mapping]]] = ...) -> None: ...

class Rejection(_message.Message):
    __slots__ = ("reason", "message", "retry_delay_ms")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    retry_delay_ms: int
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., retry_delay_ms: _Optional[int] = ...) -> None: ...

class TransactionStatus(_message.Message):
    __slots__ = ("transaction_id", "state", "position", "rejection")
    class Position(_message.Message):
        __slots__ = ("height", "block_id", "index", "time_ms")
        HEIGHT_FIELD_NUMBER: _ClassVar[int]
        BLOCK_ID_FIELD_NUMBER: _ClassVar[int]
        INDEX_FIELD_NUMBER: _ClassVar[int]
        TIME_MS_FIELD_NUMBER: _ClassVar[int]
        height: int
        block_id: bytes
        index: int
        time_ms: int
        def __init__(self, height: _Optional[int] = ..., block_id: _Optional[bytes] = ..., index: _Optional[int] = ..., time_ms: _Optional[int] = ...) -> None: ...
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    REJECTION_FIELD_NUMBER: _ClassVar[int]
    transaction_id: bytes
    state: TransactionState
    position: TransactionStatus.Position
    rejection: Rejection
    def __init__(self, transaction_id: _Optional[bytes] = ..., state: _Optional[_Union[TransactionState, str]] = ..., position: _Optional[_Union[TransactionStatus.Position, _Mapping]] = ..., rejection: _Optional[_Union[Rejection, _Mapping]] = ...) -> None: ...
