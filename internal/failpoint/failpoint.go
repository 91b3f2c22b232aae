// Package failpoint ends a process at a named step, so that tests can show what is left when it dies right there.
//
// A released program has none of it: without the build tag "failpoint", Hit is empty and is inlined away. With the tag
// the process reads the environment variable LOGPIPE_FAILPOINT once, at its start. "agent.commit.synced=kill@3" kills
// it with SIGKILL when it comes to that step for the third time. Elsewhere nothing below main reads the environment;
// this is the one exception, and only under the tag.
package failpoint

import "strings"

// Variable is the environment variable that a program built with the tag reads.
const Variable = "LOGPIPE_FAILPOINT"

// Name is a step of a program.
type Name string

// The steps of the agent. Each name says what has just been done, unless it says "before".
const (
	JournalAppended  Name = "agent.journal.appended"
	JournalWritten   Name = "agent.journal.written"
	JournalSynced    Name = "agent.journal.synced"
	SnapshotCreated  Name = "agent.snapshot.created"
	SnapshotWritten  Name = "agent.snapshot.written"
	SnapshotSynced   Name = "agent.snapshot.synced"
	SnapshotRenamed  Name = "agent.snapshot.renamed"
	SnapshotDone     Name = "agent.snapshot.done"
	FileFound        Name = "agent.file.found"
	FileAdded        Name = "agent.file.added"
	FileRenamed      Name = "agent.file.renamed"
	FileMoved        Name = "agent.file.moved"
	FileFinished     Name = "agent.file.finished"
	FileForgotten    Name = "agent.file.forgotten"
	BatchSealed      Name = "agent.batch.sealed"
	BatchSynced      Name = "agent.batch.synced"
	BatchSent        Name = "agent.batch.sent"
	BatchAnswered    Name = "agent.batch.answered"
	BatchAcked       Name = "agent.batch.acked"
	RecoverSettled   Name = "agent.recover.settled"
	RecoverAcked     Name = "agent.recover.acked"
	RecoverRebuilt   Name = "agent.recover.rebuilt"
	RecoverNewID     Name = "agent.recover.newID"
	RecoverRenewed   Name = "agent.recover.renewed"
	RecoverSynced    Name = "agent.recover.synced"
	RecoverResent    Name = "agent.recover.resent"
	RecoverRewound   Name = "agent.recover.rewound"
	SettingsAppended Name = "agent.settings.appended"
)

// The steps of the sink.
const (
	ClaimPrepared   Name = "sink.claim.prepared"
	ClaimMade       Name = "sink.claim.made"
	FenceRenamed    Name = "sink.fence.renamed"
	FenceRemoved    Name = "sink.fence.removed"
	RecoverListed   Name = "sink.recover.listed"
	RecoverFollowed Name = "sink.recover.followed"
	StartWritten    Name = "sink.start.written"
	StartPinned     Name = "sink.start.pinned"
	RollMade        Name = "sink.roll.made"
	RollCreated     Name = "sink.roll.created"
	RollWritten     Name = "sink.roll.written"
	RollClosed      Name = "sink.roll.closed"
	ManifestCreated Name = "sink.manifest.created"
	ManifestWritten Name = "sink.manifest.written"
	CommitBefore    Name = "sink.commit.before"
	CommitRenamed   Name = "sink.commit.renamed"
	PublishListed   Name = "sink.publish.listed"
	PublishMade     Name = "sink.publish.made"
	PublishRenamed  Name = "sink.publish.renamed"
	PublishDone     Name = "sink.publish.done"
	PruneRemoved    Name = "sink.prune.removed"
	OffsetMarked    Name = "sink.offset.marked"
	OffsetCommitted Name = "sink.offset.committed"
)

// all is the table of every step, in the order in which a program comes to them.
var all = []Name{
	JournalAppended, JournalWritten, JournalSynced,
	SnapshotCreated, SnapshotWritten, SnapshotSynced, SnapshotRenamed, SnapshotDone,
	FileFound, FileAdded, FileRenamed, FileMoved, FileFinished, FileForgotten,
	BatchSealed, BatchSynced, BatchSent, BatchAnswered, BatchAcked,
	RecoverSettled, RecoverAcked, RecoverRebuilt, RecoverNewID, RecoverRenewed, RecoverSynced, RecoverResent,
	RecoverRewound, SettingsAppended,

	ClaimPrepared, ClaimMade, FenceRenamed, FenceRemoved, RecoverListed, RecoverFollowed, StartWritten, StartPinned,
	RollMade, RollCreated, RollWritten, RollClosed, ManifestCreated, ManifestWritten, CommitBefore, CommitRenamed,
	PublishListed, PublishMade, PublishRenamed, PublishDone, PruneRemoved, OffsetMarked, OffsetCommitted,
}

// Of returns the steps of a program: "agent" or "sink".
func Of(program string) []Name {
	var out []Name
	for _, name := range all {
		if strings.HasPrefix(string(name), program+".") {
			out = append(out, name)
		}
	}
	return out
}
