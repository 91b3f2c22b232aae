package planted

var sinkBugs = []bug{
	{"other sessions are not fenced", []edit{
		{"session.go", `if entry.Name() == s.id {`, `if entry.Name() != "" {`},
	}},
	{"the position is looked up before the fence", []edit{
		{"partition.go", `p.session.claim, p.session.fence, p.session.recover`,
			`p.session.claim, p.session.recover, p.session.fence`},
	}},
	{"files become visible before the commit", []edit{
		{"commit.go", `	failpoint.Hit(failpoint.CommitBefore)
`, `	for _, f := range m.Files {
		_ = s.files.MkdirAll(path.Dir(f.Path))
		_ = s.files.RenameFile(path.Join(r.dir, f.Name), f.Path)
	}
`},
	}},
	{"an offset is passed over", []edit{
		{"commit.go", `s.next, s.gap = m.Last+1, nil`, `s.next, s.gap = m.Last+2, nil`},
	}},
	{"a file that was completed short is taken", []edit{
		{"commit.go", `if info.Size() != size {`, `if false {`},
	}},
	{"what a dead session committed is not published", []edit{
		{"session.go", `if err := s.publish(m); err != nil {`, `if err := error(nil); err != nil {`},
	}},
	{"the start of a partition is not pinned", []edit{
		{"session.go", `if err := s.files.RenameFile(name, s.at.start()); err != nil {`,
			`if err := error(nil); err != nil {`},
	}},
	{"a gap is not noted", []edit{
		{"commit.go", `	m.Gap = s.gap
`, ``},
	}},
	{"a roll makes the directory of its session again", []edit{
		{"roll.go", `r.files.Mkdir(r.dir)`, `r.files.MkdirAll(r.dir)`},
	}},
	{"a topic that was made anew is not noticed", []edit{
		{"partition.go", `if err := p.sameTopic(ctx); err != nil {`, `if err := error(nil); err != nil {`},
	}},
	{"the group is told of what is only read", []edit{
		{"partition.go", `	p.roll.pass(got.next, now)
`, `	p.roll.pass(got.next, now)
	p.committed(got.next)
`},
	}},
	{"the newest commit is pruned, too", []edit{
		{"commit.go", `for len(s.commits) > keepCommits {`, `for len(s.commits) > 0 {`},
	}},
	{"a roll goes on after an error of the store", []edit{
		{"partition.go", `case errors.Is(err, errKafka):
			// The roll`, `case err != nil:
			// The roll`},
	}},
}
