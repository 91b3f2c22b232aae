package planted

var agentBugs = []bug{
	{"batches are sent before the journal has them", []edit{
		{"seal.go", `	if err := a.journal.Sync(); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	failpoint.Hit(failpoint.BatchSynced)
`, ``},
	}},
	{"the position moves before its records are sealed", []edit{
		{"files.go", `if !known || s.sealed != s.last || s.before != nil || s.feed.active {`, `if !known {`},
	}},
	{"each life has a producer id of its own", []edit{
		{"recover.go", `known := state.HasProducer && !moved`, `known := false && moved
	a.doubt = true`},
	}},
	{"what only the leader has counts as stored", []edit{
		{"recover.go", `case !found:`, `case found || !found:`},
		{"recover.go", `after := state.Partition(partition).AckedOffset + 1
	last, found, err := a.client.ScanProducer(ctx, a.topic.Name, partition, after, state.Producer.ID)`,
			`last, found, err := a.client.LastSequence(ctx, a.topic.Name, partition, state.Producer.ID)`},
	}},
	{"one batch too many counts as stored", []edit{
		{"recover.go", `stored := endingWith(pending, last) + 1`, `stored := min(endingWith(pending, last)+2, len(pending))`},
	}},
	{"a broker that has forgotten the producer is not searched", []edit{
		{"recover.go", `_, err = a.acknowledgeStored(ctx, state, pending)`, `err = nil`},
	}},
	{"all that is pending is sent again, though the broker knows only the last of it", []edit{
		{"recover.go", `max(0, endingWith(of, last))`, `min(0, endingWith(of, last))`},
	}},
	{"what is pending keeps the date of a clock that was set back", []edit{
		{"recover.go", `b.Time.After(now.Add(time.Minute))`, `now.IsZero()`},
	}},
	{"an interruption does not take back what was only read", []edit{
		{"recover.go", `s.last, s.sealed = stored.Sealed, stored.Sealed`, `s.sealed = stored.Sealed`},
	}},
	{"files do not wait for each other after an interruption", []edit{
		{"recover.go", `a.chain() // what had its turn may have to wait again`, ``},
	}},
	{"files do not wait for each other after a restart", []edit{
		{"files.go", `before.after, s.waiting = s, true
		}
		newest`, `before.ready = true
		}
		newest`},
	}},
	{"a new file does not wait for the one before it", []edit{
		{"files.go", `before.after, s.waiting, before.ready = s, true, true`, `before.ready = true`},
	}},
	{"a finished file is begun again behind its last whole record", []edit{
		{"files.go", `		s.clean = s.file.MarkAt(s.file.Position(), nil) // also behind a record that ended in the next file
`, ``},
	}},
	{"a file is done with while a batch needs it", []edit{
		{"files.go", `if !s.isEnded || pending || a.carriedOn(s) {`, `if _ = pending; !s.isEnded || a.carriedOn(s) {`},
	}},
	{"a record that began in the file before is decoded from its own", []edit{
		{"decode/hold.go", `Carried: d.carries,`, `Carried: false,`},
	}},
	{"a record is carried into a file that has its end already", []edit{
		{"read.go", `if next.clean.Offset == 0 {`, `if true {`},
	}},
	{"the end of a file is the end of a line", []edit{
		{"read.go", `final := s.gone || s.file.Final()`, `final := true`},
	}},
	{"batches of one file are sealed alone though they go to several partitions", []edit{
		{"seal.go", `if a.cfg.PartitionKey.Type != KeyField {`, `if true {`},
	}},
	{"an inode number is a file", []edit{
		{"tail/file.go", `return id.Inode == other.Inode && (id.Birth == 0 || other.Birth == 0 || id.Birth == other.Birth) &&
		(id.Generation == 0 || other.Generation == 0 || id.Generation == other.Generation)`,
			`return id.Inode == other.Inode`},
	}},
	{"a rotated file ends at once", []edit{
		{"tail/file.go", `f.set.began.Sub(f.changed) >= f.set.cfg.Quiet`, `f.set.began.Sub(f.changed) >= 0`},
	}},
	{"any compressed file is taken for the rotated one", []edit{
		{"tail/trace.go", `if err != nil || head.Bytes < f.head.Bytes || f.head.Bytes > 0 && head != f.head {`,
			`if err != nil || head.Bytes < 0 {`},
	}},
	{"a compressed file is read from its start", []edit{
		{"tail/gzip.go", `for left := position; left > 0; {`, `for left := int64(0); left > 0; {`},
	}},
	{"names are not looked at again when they were moved", []edit{
		{"tail/scan.go", `before == nil || !maps.EqualFunc(before, forms, sameFile)`,
			`before != nil && !maps.EqualFunc(before, forms, sameFile)`},
	}},
	{"files that came and went while nobody looked are left out", []edit{
		{"tail/welcome.go", `s.missed(before, s.forms[live])`, `s.missed(before, nil)`},
	}},
	{"a copy of a truncated log is a log of its own", []edit{
		{"tail/replace.go", `slices.IndexFunc(copies, func`, `slices.IndexFunc(copies[:0], func`},
	}},
	{"a copy is read while it is made", []edit{
		{"tail/copy.go", `if prefix && s.suspected(c.info.ID) <= copyGrace ||`, `if prefix && false ||`},
	}},
	{"a copy that ends before the position is read", []edit{
		{"tail/replace.go", `!found.goesOn && !f.shorn && !f.earlier() && s.readPast(c, f)`, `false`},
	}},
	{"a log goes on in its copy before it is known up to where it was read", []edit{
		{"files.go", `return s != nil && s.feed.active`, `return s == nil`},
	}},
	{"what a truncated log begins with is not compared", []edit{
		{"tail/copy.go", `return !same || !f.continues(before), nil`, `return same && !f.continues(before), nil`},
		{"tail/file.go", `|| f.position == 0 && !f.beginsWith(buf[:n], n < len(buf)) {`, `{`},
	}},
	{"a record is carried over a truncation", []edit{
		{"read.go", ` && !s.after.file.Afresh()`, ``},
	}},
	{"a file is given up while its name moves", []edit{
		{"tail/trace.go", `case near.still(f.source):`, `case true:`},
	}},
	{"what a disk refuses for now counts as an answer", []edit{
		{"tail/scan.go", `return errors.Is(err, reason)`, `return err == reason`},
	}},
	{"what the disk did not tell of a name holds nothing up", []edit{
		{"tail/scan.go", `	s.holdRefused()
`, ``},
	}},
	{"what a power cut has left of a log is taken for another", []edit{
		{"tail/powercut.go", `return f.earlier() && !f.gone`, `return false && !f.gone`},
	}},
	{"a log ends where a power cut has left it, though it was written to since", []edit{
		{"tail/powercut.go", `found.Size >= f.position || f.set.writtenSince(found)`, `found.Size >= f.position`},
	}},
	{"what is behind a cut is forgotten to be that", []edit{
		{"tail/powercut.go", `next.began, next.behind = f.cut.Offset, f.Ref`, `next.began = f.cut.Offset`},
	}},
	{"what is pending is read again beyond what a power cut has left", []edit{
		{"tail/set.go", `end: left.end}`, `end: 0}`},
	}},
	{"a batch is lost with one of its files", []edit{
		{"rebuild.go", `		err = errors.Join(err, missing)
`, `		if missing != nil {
			return journal.Batch{}, nil, missing
		}
`},
	}},
}
