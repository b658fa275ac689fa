package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"stele/fe/server"
	"stele/meta/rpc"
	"stele/meta/types"
	"stele/proto/bepb"
)

// The bare path is what is left of a durable INSERT when nothing is done with it: the client's packet to a frontend, one call to a
// backend, one flush that all who wait share, and the OK. It has the sockets, the MySQL protocol and the calls of Stele, and no parser,
// no transaction, no Raft, no tablet. No INSERT of this shape can be faster, so its ratio to the peer bounds Stele's. Its backend is in
// the same process, as in a `stele node`, or in another one.
const (
	// bareRole is set in the environment of the processes of a bare path.
	bareRole  = "STELE_BENCH_BARE_PATH"
	bareName  = "bare path"
	bareApart = "bare path, two processes"
)

// RunBare is the main function of a process of the bare path; false = this process is none.
func RunBare() (is bool, err error) {
	role, rest, _ := strings.Cut(os.Getenv(bareRole), ",")
	switch role {
	case "":
		return false, nil
	case "be":
		lis, err := serveBare()
		if err == nil {
			fmt.Println(lis.Addr())
			_, err = io.Copy(io.Discard, os.Stdin) // until the benchmark ends
		}
		return true, err
	case "node":
		lis, err := serveBare()
		if err != nil {
			return true, err
		}
		return true, bareFrontend(lis.Addr().String(), rest)
	}
	address, dir, _ := strings.Cut(rest, ",")
	return true, bareFrontend(address, dir)
}

func bareCluster() *rpc.Cluster { return rpc.NewCluster(types.ClusterID(strings.Repeat("b", 32))) }

type bareService struct {
	bepb.UnimplementedBackendServer
}

func (bareService) Write(context.Context, *bepb.WriteRequest) (*bepb.WriteResponse, error) {
	return &bepb.WriteResponse{}, nil
}

// serveBare serves as a backend until the process ends.
func serveBare() (net.Listener, error) {
	pipes := rpc.NewPipeServer(rpc.ServerConfig{Cluster: bareCluster()})
	pipes.Brief(bepb.Backend_Write_FullMethodName)
	bepb.RegisterBackendServer(pipes, bareService{})
	lis, err := rpc.Listen("127.0.0.1:0", true, slog.Default())
	if err != nil {
		return nil, err
	}
	return pipes.Listen(lis), nil
}

func bareFrontend(backend, dir string) error {
	conn, err := rpc.DialPiped(backend, rpc.DialConfig{Cluster: bareCluster()}, bepb.Backend_Write_FullMethodName)
	if err != nil {
		return err
	}
	log, err := openBareLog(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	srv, err := server.New(server.Config{}, bareEngine{bepb.NewBackendClient(conn), log})
	if err != nil {
		return err
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(lis.Addr())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); os.Exit(0) }() // until the benchmark ends
	go log.run()
	return srv.Serve(lis)
}

type bareEngine struct {
	be  bepb.BackendClient
	log *bareLog
}

func (bareEngine) Account(user, _ string) (server.Account, bool) {
	return server.Account{User: user, Host: "%", Plugin: server.PluginNative}, true
}
func (e bareEngine) Open(context.Context, server.ConnInfo) (server.Session, error) {
	return bareSession{e}, nil
}
func (bareEngine) Kill(context.Context, server.ConnInfo, uint64, bool) error { return nil }

type bareSession struct{ bareEngine }

func (s bareSession) Query(ctx context.Context, text string, w server.ResultWriter) error {
	if strings.HasPrefix(text, "INSERT") {
		part := &bepb.WriteRequest_Part{TabletId: 1, Epoch: 1, Rows: []byte(text)}
		if _, err := s.be.Write(ctx, &bepb.WriteRequest{TxnId: 1, Parts: []*bepb.WriteRequest_Part{part}}); err != nil {
			return err
		}
		if err := s.log.append([]byte(text)); err != nil {
			return err
		}
	}
	return w.Done(server.Result{AffectedRows: 1})
}
func (bareSession) Prepare(context.Context, string) (server.Prepared, error) {
	return nil, errors.New("the bare path prepares nothing")
}
func (bareSession) UseDB(context.Context, string) error { return nil }
func (bareSession) Reset(context.Context) error         { return nil }
func (bareSession) Status() uint16                      { return server.StatusAutocommit }
func (bareSession) Limits() (time.Duration, int)        { return 0, 0 }
func (bareSession) Statistics() string                  { return "" }
func (bareSession) Close()                              {}

// bareLog appends what has gathered and flushes once for all.
type bareLog struct {
	f     *os.File
	queue chan bareRecord
}

type bareRecord struct {
	text []byte
	done chan error
}

// bareLogBytes is written in advance, so that a flush is one of data alone.
const bareLogBytes = 64 << 20

// bareWaiting is above the largest number of clients, so that none of them waits to be queued.
const bareWaiting = 96

func openBareLog(path string) (*bareLog, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(make([]byte, bareLogBytes)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &bareLog{f, make(chan bareRecord, bareWaiting)}, f.Sync()
}

func (l *bareLog) append(text []byte) error {
	r := bareRecord{text, make(chan error, 1)}
	l.queue <- r
	return <-r.done
}

func (l *bareLog) run() {
	at := int64(0)
	for r := range l.queue {
		waiting, data := []bareRecord{r}, r.text
		for n := len(l.queue); n > 0; n-- {
			r = <-l.queue
			waiting, data = append(waiting, r), append(data, r.text...)
		}
		if at+int64(len(data)) > bareLogBytes {
			at = 0
		}
		_, err := l.f.WriteAt(data, at)
		if err == nil {
			err = syscall.Fdatasync(int(l.f.Fd()))
		}
		at += int64(len(data))
		for _, r := range waiting {
			r.done <- err
		}
	}
}

// StartBare starts the process of a bare path, or the two of one, from this test's own binary. stop ends them.
func StartBare(name string) (s *Server, stop func() error, err error) {
	dir, err := os.MkdirTemp("", "stele-bare-")
	if err != nil {
		return nil, nil, err
	}
	ends := []func() error{func() error { return os.RemoveAll(dir) }}
	stop = func() error {
		var errs []error
		for i := len(ends) - 1; i >= 0; i-- {
			errs = append(errs, ends[i]())
		}
		return errors.Join(errs...)
	}
	role := "node," + dir
	if name == bareApart {
		backend, end, err := spawnBare("be")
		if err != nil {
			return nil, nil, errors.Join(err, stop())
		}
		ends = append(ends, end)
		role = "fe," + backend + "," + dir
	}
	frontend, end, err := spawnBare(role)
	if err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	ends = append(ends, end)
	return &Server{Name: name, Dir: dir, Port: portOf(frontend)}, stop, nil
}

func portOf(address string) (port int) {
	_, text, _ := net.SplitHostPort(address)
	_, _ = fmt.Sscan(text, &port) // it has just been printed by %v of an address
	return port
}

// spawnBare starts a process and returns where it listens.
func spawnBare(role string) (address string, end func() error, err error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), bareRole+"="+role), os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	end = func() error { return errors.Join(stdin.Close(), cmd.Wait()) }
	address, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("a process of the bare path says nothing: %w", err), end())
	}
	return strings.TrimSpace(address), end, nil
}
