// Package guest is what a test tells the first process of a machine of its own, which is the command init below it.
package guest

// Where the guest finds its order, and where its disk and the log are.
const (
	File        = "/guest.json"
	AgentConfig = "/agent.json"
	Disk        = "/disk"
	Log         = Disk + "/logs/app.log"
)

// Order says what a guest does.
type Order struct {
	// Boot counts how often the machine was started.
	Boot int `json:"boot"`
	// Writer names the lines.
	Writer string `json:"writer"`
	// Seed is what follows all that is random.
	Seed uint64 `json:"seed"`
	// Last is the number of lines after which no more are written, 0 if there is none.
	Last uint64 `json:"last"`
	// Jumps is how often the clock is set forward or back before the last line, and the agent killed now and then. In the
	// end it is right again.
	Jumps int `json:"jumps"`
	// FileSystem is what the disk has.
	FileSystem string `json:"fileSystem"`
	// Ports of 127.0.0.1 outside are there inside, too.
	Ports []int `json:"ports"`
}
