// Package decision keeps the commit decisions: which global transactions commit, and on which branches. There are no
// records of rollbacks; a transaction that is not found here is rolled back (presumed abort). So losing one record
// breaks atomicity as surely as inventing one, and everything below follows from that.
//
// # Use
//
// OpenFile locks the directory, replays it, and raises the epoch. Then, for each transaction: Append, which is the
// commit point; phase two on the backends; Done. Recovery asks Lookup about each prepared branch that it finds, and
// works through Unfinished. Prune is called now and then. When Broken is closed, the process stops deciding and ends:
// only a new OpenFile can tell what became of the last decisions.
//
// # What Append promises
//
//   - nil: the record is on the disk and every later opening finds it, until it is done and older than Retain.
//   - an error with ErrNotWritten: no byte of it was handed to the system. It will never be found; roll back. Without
//     ErrBroken the log stays usable: the record was refused, or there was no space for a new segment, and the next
//     Append tries again to make one.
//   - any other error (then ErrBroken): a write or a sync failed with the record in it. The record may or may not be on
//     the disk, so the transaction must be neither committed nor rolled back before the log has been opened again.
//
// A failed write or sync breaks the log for ever, because after a failed sync the system may take lost bytes for written.
// Lookup of a broken log finds what it knows, but answers with an error instead of "not found".
//
// # The files
//
// A directory holds segments 0000000001.seg, 0000000002.seg and so on without a gap, numbers never used twice; "lock",
// which names the process that holds the lock on the directory; and perhaps next.tmp, a segment that was not finished.
// A segment has its full size, in zeros, from before it gets its name: an append changes neither the size nor the
// allocation of the file, and a full disk shows at the start of a segment and not in the middle of a commit. It is made
// when the one before is full; that takes about 20 ms for 16 MiB on a good disk, once in some hundred thousand commits.
//
//	segment:  | header, 512 bytes | record | record | ... | zeros                          |
//
//	header:   | "xaproxyD" 8 | format 4 | epoch 4 | coord 8 | number 8 | size 8 | prevEnd 8 | 0.. | crc 4 | 0.. to 512
//	          0              8          12        16        24         32       40          48    60
//
//	record:   | size 4 | head 4 | crc 4 | synced 4 | kind 1 | version 1 | 0 2 | length 4 | body ... | 0.. | 0xED |
//	          0        4        8       12         16       17          18    20         24                 size-1
//
// Integers are little-endian. Every crc is a CRC32C (Castagnoli).
//
//   - The crc of the header covers the 60 bytes before it. epoch is the one in which the segment was made, prevEnd the
//     place where the records of the segment before end: that one is complete and durable before this one is named.
//   - size counts the whole record and is a multiple of 8. head covers, in this order, coord and number of the segment,
//     the offset of the record in the file (8 bytes) and size: a record is valid in one place of one log only, so that
//     stale bytes never become records.
//   - crc goes on from head over everything behind itself, end mark included.
//   - synced is the offset up to which the segment was known to be durable when the record was written.
//   - length is that of the body, which is made of varints: epoch, sequence number, time in seconds (signed). Then
//     COMMIT (kind 2) has flags (bit 0: one phase, bit 1: a commit key, bit 2: milliseconds), the number of branches, for
//     each its backend, its server (strings with their length in front) and its connection id; then the key; then the
//     milliseconds behind the time in seconds, and for each branch those from there back to its vote (signed, never
//     positive; 1 where it had none). DONE (3) has for each branch of which it is known its backend, who committed it (a
//     byte: 0 the session that prepared it, 1 recovery) and when, in milliseconds from the time in seconds (signed).
//     HEUR (4) has backend and text; EPOCH (1) has no more.
//
// # Torn tail or damage
//
// Concurrent appends are written with one write and share one sync. When the power fails before that sync, any of the
// sectors of the write may be there and any may be missing, in any order: a bad record may well be followed by good ones.
// None of them matters, since no Append of that write has returned. But a bad record that had been synced is a lost
// decision, and then the log must not be opened. Replay tells them apart, at the first place B without a valid record:
//
//  1. A segment with a successor is complete. Its records end at prevEnd or it is damaged.
//  2. A valid record behind B with synced > B was written when B was durable: damage.
//  3. Sectors are written whole or not at all, over zeros. So the first 8 bytes of a torn record are right or zero, and
//     if they are right some sector of the record is all zeros; a valid record has no such sector, as its last byte is
//     never zero. Bytes at B that look otherwise (one flipped bit is enough) were changed later: damage.
//  4. Everything else is a torn tail. It is cut at B and logged; zeros are written over it and synced before anything
//     is appended, so that no stale record can come to lie behind a new one.
//
// What remains is a disk that drops whole sectors of the very last write after it said that they were durable; the first
// record written later is the witness against it. Each opening appends one (EPOCH), and so do most transactions (DONE).
//
// The records that replay finds behind the largest synced are written again and synced before OpenFile returns: they may
// be in the page cache only, and once recovery has acted on one of them it must stay.
package decision
