"""BFT-12: how twelve banks agree on the next block. A sans-IO core: events in, effects out.

The family is HotStuff-2 / Jolteon (two phases of votes, quorum and timeout certificates), but
un-chained: one height is decided completely before the next begins. n banks are active at a
height, q = ceil(5n/6) make a quorum (10 of 12), rq = n-q+1 make one impossible (3 of 12).

The rules, where they are, and what they say in one line
---------------------------------------------------------
- P1 `state`: a height begins in view 0; view v+1 is entered by q timeouts of v, any later view by
  its quorum certificate.
- P2 `proposing`: the leader `active[(h+v) mod n]` proposes one block; after a view change the
  block of its highest quorum certificate, and a new one only if nobody claimed a certificate.
- P3 `justification`, `voting`: one answer per view, APPROVE or REJECT with a reason; a lock on
  another block is no reason to refuse.
- P4 `certifying`: q approvals make a quorum certificate (QC).
- P5 `voting`: on the QC of my view, if the block is valid here and I did not give up the view:
  Commit.
- P6 `certifying`: q commits and q ballots make the Seal: the block is final.
- P7 `sealing`: apply, in one database transaction, or halt.
- R1-R3 `view_change`: rq rejections only make the view time out, once its proposal is answered.
- V1-V4 `view_change`: give up the view, tell all what I am locked on; q timeouts (TC) lead on.
- D1-D3 `journal`, `restart`: what I sign is on disk before anybody, I included, counts it; a
  restart repeats it to all and to myself. D4, the rollback guard, is a file of the host, which
  `Persist` feeds and `restart(silent_through=...)` obeys.
- Section 9 `evidence` keeps what was signed, `accusations` makes items of it, `evidence_items`
  and `evidence_verification` are their encoding and their proof, `prosecution` and
  `evidence_pool` bring them to every bank and into a block.
- Section 17 `balloting`, `ballots`: what is signed with a bank's name stays among the banks; what
  is published are ballots, which tell that ten banks agreed and not which. A Commit carries the
  APPROVE ballot of its bank and a REJECT vote the REJECT ballot, one in a view; `Seal.published`
  is what outsiders get.
- Section 10: certificates of a height are checked under the active set of that height alone. A
  bank that is not in it follows, verifies, serves and passes evidence on, and signs nothing.
- `waiting`, `status`: which banks a height waits for; no rule reads it.
- Sections 7, 11, 12: `pacemaker` (silence without work, retransmission), `catch_up`, `intake`
  (hostile until checked).

Why it is safe (BFT-12 section 13), for b <= 2q-n-1 Byzantine banks (7 of 12) and any crashes
----------------------------------------------------------------------------------------------
Two QCs of one view share a correct bank, which votes once: one block per view. If X is sealed in
view w, q banks committed to it, each with hq >= w on disk. Any TC of a later view has q signers
and shares a correct bank with those: it gave up after it committed, so it claimed at least w, and
the TC's highest claim m >= w. A proposal of a later view must then carry a QC of a view u with
m <= u, which by induction is for X. So every later QC, and every later seal, is for X. Every
certificate in this argument has q signatures; a reject certificate has fewer and appears nowhere.

The host loop
-------------
::

    effects = core.restart(record, tip=..., tip_seal=..., active_set=..., blocks=...)
    while True:
        for effect in effects:                     # strictly in order
            match effect:
                case Persist():                    # finish before anything later starts
                    commit record and bodies (with the transactions they name) to the database
                    write (height, view, step) to the guard file and fsync it
                case Send() | Broadcast():
                    queue encode_message(effect.message); a Broadcast is serialised once
                case SetTimer() | CancelTimer():
                    start or stop the one timer of this kind; it posts TimerFired
                case Validate() | Apply():         # start, do not wait
                    fetch lacking transactions from effect.source, then from others;
                    post Validated / BlockApplied / ApplyFailed, always, within a deadline
                case BuildBlock() | ServeBlocks():
                    start; post BlockBuilt / BlocksLoaded
                case ExamineEvidence():
                    verify it, ask the ledger, store what is accepted; post EvidenceExamined
                case VerifyBallots():
                    verify the proofs in one batch, beside the loop; post BallotsVerified, always
                case KeepBallots():
                    store both: the regulator can open one of them
                case Alarm():
                    tell the operators
        effects = core.handle(next event)

Messages are posted as `MessageReceived(sender, decode_message(data))`, where `sender` is the
authenticated identity of the link. After a crash at any point, also between two effects, the
host starts again from the database alone.

Where this differs from the specification, and why
---------------------------------------------------
- Transaction bodies stay outside: a block names ids, and obtaining bodies (TxReq) is the host's
  part of `Validate` and `Apply`. `BuildBlock`, `BlockBuilt`, `Validate` and `Validated` exist for
  the same reason: the core never executes the ledger.
- A copy of a block may be unusable without the block being invalid. A block id commits to the
  header, so whoever relays a block can attach lists that do not hash to the header's roots, or ids
  that nobody has. Calling that an invalid block would let a relay turn q honest rejections against
  an honest creator (E6). `BodyUnusable` says that the copy proves nothing: no vote, another copy.
- A TC is acted on only together with a QC at least as high as its highest claim, and therefore
  every message that carries a TC, `Status` included, carries that QC. Otherwise a Byzantine bank
  could claim a QC that it shows to nobody and leave correct leaders with nothing to propose.
- Votes for a view end with a Commit in it: a bank that learnt the QC first and committed does not
  vote any more. It saves a durable write and takes nothing from anybody.
- A voter repeats its Vote along with its Commit, so that a leader that lost its tables over a
  restart can complete either certificate in the same view.
- A missing block is asked of rq signers at a time, by rotation. Peers for the periodic Status are
  rotated, not drawn. Late messages about the height just sealed are answered from the second on:
  the last votes of every block are late without being lost.
- R2 and V2 act at once only in the first n views of a height, one rotation of leaders; later the
  view timer alone ends a view. Otherwise more than n-q banks that reject everything would drive
  all others through views as fast as messages travel, each with a durable write: a height that
  cannot be decided should wait, not burn.
- A leader of whose view nothing came is suspected until anything comes from it, and its views
  last T0/8 meanwhile: a dead bank costs one T0, not one at each of its turns. A correct bank whose
  messages arrive is suspected by nobody, so section 14 holds as it stands.
- A bank whose guard file is ahead signs again at the height after the guard's, not only once that
  one is sealed too: whatever it signed stands at sealed heights by then. Otherwise a consortium
  that needs the bank's vote could never seal the height that would let it vote.
- Banks are at most 16 (a ballot's ring), so certificates are bounded before they are parsed.

- The end of a view waits for the answer to its proposal. A bank that would give up because
  others did (V2) or rejected (R2) signs its vote first if its host is judging the block, and only
  then its timeout, after which it may not vote. Otherwise the banks that judge fastest would
  silence the others, and the q rejections of an E6 might never exist: a Byzantine creator of an
  invalid block would lose a view and nothing else. What the wait costs is bounded: it ends with
  the verdict, with the view timer, or after T0 (two RETRY), whichever is first, so a leader who
  names transactions that nobody has wins at most T0, which staying silent wins as well. Liveness
  does not need V2 or R2: every view ends by timers (section 14). A leader who shows his invalid
  block to a few banks only escapes E6, not E5, and again does no more harm than by silence.
- A leader from which nothing comes has T0/8 instead of T0 until something does (`pacemaker`).
- `Status.asks`: a bank whose view stalls asks once in it who is there, and everybody answers by
  his own Status to all. It names silent banks in time, and brings lost certificates on the way.
- Of the timeouts of a view the log keeps the lowest claim, not the first, which convicts whenever
  any does. Certificates that come late convict too, and a seal of another block at a height that
  is sealed here is an alarm of its own.
- EV_WINDOW is the ledger's: the core asks the host again about evidence that is not recorded for
  long, rather than counting heights itself.

- A seal is formed once q commits are here and then their ballots verified, in one batch, which
  adds no message. A ballot that does not hold is made up for by the next commit that brings another
  tag, so n-q banks that cast garbage stop nobody. Of more than q tags the lowest q are taken.
- A seal that comes is checked in two steps: signatures and the form of its ballots at once, their
  proofs by the host; until they hold it is pending, one of each source. Its signatures are kept as
  evidence whatever its ballots are worth, and those of a late seal are not looked at: they neither
  convict nor acquit anybody. My own seal of the tip is trusted after a restart.
- Ballots on which nothing depends are not verified: those of a view that seals nothing, and REJECT
  ballots unless they are about the sealed block, or under the tag of another ballot that says
  something else (E8). One of each kind of a signer in a view, and one seal of a source, is the most
  that anybody can have verified here; section 12's slow lane is `balloting.distrust`.
- The next block records REJECT ballots of its proposer's seal's view about the sealed block alone:
  a rejection of another block, or in a view that sealed nothing, is no vote on the block that the
  record is about. A tag that is in the seal is not recorded again; what else was cast under it is
  for the regulator. Rejections that came to a bank before its restart are left out.
- Two ballots under one tag are stored by every bank that saw them and accuse nobody by themselves.
  E8 (`DoubleBallot`) carries an opening of one of them with its proof, which only the regulator can
  make; it travels, and is punished, like any other evidence.
- An E5 may show the creator by the seal of its block in place of its own signature
  (`SealedInvalid`), which nobody keeps past the height: the regulator finds such blocks later. It
  is as safe as the validity of sealed blocks; `evidence_verification` has the argument.
- Catching up verifies the ballots of the next queued seal while a block is being applied, unless
  that block changes the active set and thereby the ring.

What evidence discloses (BFT-12 section 17)
-------------------------------------------
Statements with names stay among the banks until one of them convicts: evidence is made of them,
stands in a block, and is thereby published. E1 to E4 show two statements of the accused, E7 its
approval, E8 and the sealed form of E5 ballots. E6, and an E7 that rests on it, also show that q
banks rejected one block, and each one's reason: nobody less can prove what needs the state, and a
proof without names would not let a voter count q different banks. Section 17 keeps secret who
approved what was sealed, and that stays so. What E6 names was cast in a view that sealed nothing,
about a block that is on no chain; no ballot of that view is ever recorded, and tags of two views
do not match, so no recorded ballot is linked to any of the q. Of the banks that it does not name
it says nothing: it takes q of the rejections at hand. What an outsider learns is that these banks
were up, heard that leader and judged alike at that moment. Where an E5, which needs no witness,
is possible too, whichever reaches a leader first is recorded.

What evidence needs from the host
---------------------------------
`Rejected.proof` where a block's bytes alone show it to be invalid (E5); `EvidenceExamined` after
an accepted item is durable; `BlockApplied.punished` for what a block recorded;
`restart(evidence=...)` for what was stored and is not punished yet. No correct bank is convicted
as long as D1 to D4 hold: `evidence_verification` says why.
"""
