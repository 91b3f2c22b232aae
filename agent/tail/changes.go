package tail

// Changes is what a scan found.
type Changes struct {
	// Found are the files to be read from now on, each behind its Previous one: new ones, with Ref 0; known ones, when
	// they are first seen; finished ones that grew after all. A new one may be Finished: its state is all that is needed.
	Found []*File
	// Ready are files that grew, became readable again or became Final.
	Ready []*File
	// Updated are files whose State has changed in more than its Mark: renamed, or with a longer Head.
	Updated []*File
	// Ended are files of which no more can be read.
	Ended []Ended
	// Forgotten are files that are gone with all their forms. Their state can be dropped when nothing of them is
	// pending; the Set no longer has them.
	Forgotten []*File
	// Refused are paths that are not read, each told once for each reason.
	Refused []Refusal
	// Skipped is the number of files not read because there are Config.MaxFiles already.
	Skipped int
	// Directories are those to watch, if they are others than at the scan before; nil if not.
	Directories []Directory
	// Unsettled says that something was in motion: scan again soon.
	Unsettled bool
}

// Directory is a directory to watch. One that was removed and made again is another.
type Directory struct {
	Path  string
	inode inode
}

// EndReason says why no more can be read of a file.
type EndReason string

// The reasons.
const (
	// EndDeleted files are gone with bytes that were not read.
	EndDeleted EndReason = "Deleted"
	// EndTruncated files hold other content now, which is a new File.
	EndTruncated EndReason = "Truncated"
	// EndPowerCut files lost bytes that had been read. What is behind is a new File, which goes on at the new end.
	EndPowerCut EndReason = "PowerCut"
	// EndDamaged files can't be decompressed. They stay in the Set as finished, so that they are not read again.
	EndDamaged EndReason = "Damaged"
)

// Ended says that no more of a file can be read.
type Ended struct {
	File   *File
	Reason EndReason
	// Unread is the number of bytes lost before they were read, -1 if it is not known. For EndPowerCut it is the number
	// of bytes that were read and that the file no longer has.
	Unread int64
}

// Refusal is a path that is not read.
type Refusal struct {
	Path   string
	Reason string
}
