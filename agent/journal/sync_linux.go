package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// datasync waits until the data of file is on the disk, and its size, but not its times.
func datasync(file *os.File) error {
	for {
		err := unix.Fdatasync(int(file.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
