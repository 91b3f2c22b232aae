package agent

// Stats are the agent's figures at one moment.
type Stats struct {
	Files        int
	ReadBytes    int64
	Records      int64
	AckedRecords int64
	AckedBytes   int64
	LagBytes     int64
	LostRecords  int64
	LostBytes    int64
	// Problem says what keeps lines from reaching Kafka, "" if nothing does.
	Problem string
}
