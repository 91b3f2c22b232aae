package faults

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy stands between an agent and a broker, and lets produce requests go astray.
type proxy struct {
	*testing.T
	address  string
	broker   string
	from, to []byte // the broker's address in its answers, and what is put in its place
	astray   atomic.Bool
	mu       sync.Mutex
	random   *rand.Rand
	delayed  sync.WaitGroup

	produced, doubled, lost, unanswered, late atomic.Int64
}

// maxDelay is how late a request may come. By then its agent has sent it again, or is dead, and another one lives.
const maxDelay = 1500 * time.Millisecond

func newProxy(t *testing.T, broker string, seed uint64) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{
		T: t, address: listener.Addr().String(), broker: broker, random: rand.New(rand.NewPCG(seed, 1)),
	}
	p.from, p.to = p.wire(broker), p.wire(p.address)
	t.Cleanup(func() {
		_ = listener.Close()
		p.delayed.Wait()
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	return p
}

// wire is how an answer of a broker has an address: the host's name, and the port in four bytes. Both are as long
// whichever port it is, so that one can take the other's place.
func (p *proxy) wire(address string) []byte {
	p.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		p.Fatal(err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		p.Fatal(err)
	}
	return binary.BigEndian.AppendUint32([]byte(host), uint32(n))
}

// serve passes requests and answers on, frame by frame.
func (p *proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", p.broker)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		defer func() { _ = client.Close() }()
		for {
			answer, err := frame(server)
			if err != nil {
				return
			}
			if _, err := client.Write(bytes.ReplaceAll(answer, p.from, p.to)); err != nil {
				return
			}
		}
	}()
	for {
		request, err := frame(client)
		if err != nil || !p.forward(request, server) {
			return
		}
	}
}

// frame reads a request or an answer with the length before it.
func frame(in io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, err
	}
	out := append(head, make([]byte, binary.BigEndian.Uint32(head))...)
	_, err := io.ReadFull(in, out[4:])
	return out, err
}

// forward passes a request on, or does to it what a network and a broker at its limits may do. It returns false to have
// the connection cut.
func (p *proxy) forward(request []byte, server net.Conn) bool {
	const produce = 0
	if binary.BigEndian.Uint16(request[4:]) != produce || !p.astray.Load() {
		_, err := server.Write(request)
		return err == nil
	}
	p.produced.Add(1)
	p.mu.Lock()
	fate, delay := p.random.IntN(20), time.Duration(p.random.Int64N(int64(maxDelay)))
	p.mu.Unlock()
	switch fate {
	case 0: // comes twice, the second time late
		p.doubled.Add(1)
		p.later(request, delay)
	case 1: // never comes
		p.lost.Add(1)
		return false
	case 2: // comes, but its answer does not
		p.unanswered.Add(1)
		p.alone(request)
		return false
	case 3: // comes when no one waits for it any more
		p.late.Add(1)
		p.later(request, delay)
		return false
	}
	_, err := server.Write(request)
	return err == nil
}

func (p *proxy) later(request []byte, delay time.Duration) {
	p.delayed.Go(func() {
		time.Sleep(delay) // the delay is the fault
		p.alone(request)
	})
}

// alone sends a request on a connection of its own and waits for the answer, which no one gets.
func (p *proxy) alone(request []byte) {
	server, err := net.Dial("tcp", p.broker)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if _, err := server.Write(request); err == nil {
		_ = server.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _ = frame(server)
	}
}
