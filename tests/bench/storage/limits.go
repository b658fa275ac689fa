//go:build bench

package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
)

// logLimit is what any group commit is bound by: writers hand records to one goroutine, which appends what has gathered and
// calls fdatasync.
func logLimit(dir string, writers int, span time.Duration) (float64, error) {
	f, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	queue := make(chan chan error, 4096)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		record := make([]byte, 130)
		for first := range queue {
			group := []chan error{first}
			for len(group) < 1000 && len(queue) > 0 {
				group = append(group, <-queue)
			}
			var buf []byte
			for range group {
				buf = append(buf, record...)
			}
			_, err := f.Write(buf)
			if err == nil {
				err = unix.Fdatasync(int(f.Fd()))
			}
			for _, done := range group {
				done <- err
			}
		}
	}()
	rate, _, err := writeLoop(writers, span, func(int) error {
		done := make(chan error, 1)
		queue <- done
		return <-done
	})
	close(queue)
	<-ended
	return rate, err
}

// copyAll copies the files of a folder, with fsync: what cp and sync do.
func copyAll(from, to string) (n int64, err error) {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return 0, err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if e.IsDir() {
			m, err := copyAll(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()))
			if err != nil {
				return 0, err
			}
			n += m
			continue
		}
		m, err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()))
		if err != nil {
			return 0, err
		}
		n += m
	}
	return n, nil
}

// copyFile copies what a file holds, not its holes: value logs are allocated far ahead.
func copyFile(from, to string) (int64, error) {
	src, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return 0, err
	}
	defer dst.Close()
	info, err := src.Stat()
	if err != nil {
		return 0, err
	}
	n := int64(0)
	for at := int64(0); at < info.Size(); {
		from, err := unix.Seek(int(src.Fd()), at, unix.SEEK_DATA)
		if err != nil {
			break // only a hole is left
		}
		end, err := unix.Seek(int(src.Fd()), from, unix.SEEK_HOLE)
		if err != nil {
			return 0, err
		}
		if _, err := src.Seek(from, io.SeekStart); err != nil {
			return 0, err
		}
		if _, err := dst.Seek(from, io.SeekStart); err != nil {
			return 0, err
		}
		m, err := io.CopyN(dst, src, end-from)
		if err != nil {
			return 0, err
		}
		n, at = n+m, end
	}
	if err := dst.Truncate(info.Size()); err != nil {
		return 0, err
	}
	return n, dst.Sync()
}

// diskRate writes n bytes and syncs them: MB/s.
func diskRate(dir string, n int64) (float64, error) {
	f, err := os.Create(filepath.Join(dir, "rate"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i * 7)
	}
	start := time.Now()
	for written := int64(0); written < n; written += int64(len(block)) {
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	return mbps(n, time.Since(start)), nil
}

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

func (rawCodec) Name() string { return "raw" }

// pipe is a gRPC stream over TCP of one machine: send is called on the source, with a function that sends a message; take on
// the other side with each message.
func pipe(ctx context.Context, send func(func([]byte) error) error, take func([]byte) error) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	desc := &grpc.ServiceDesc{ServiceName: "bench", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
		StreamName: "Pipe", ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			return send(func(b []byte) error { return stream.SendMsg(&b) })
		},
	}}}
	server := grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}), grpc.MaxSendMsgSize(64<<20))
	server.RegisterService(desc, struct{}{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() { server.Stop(); <-served }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{}), grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := conn.NewStream(ctx, &desc.Streams[0], "/bench/Pipe")
	if err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		var b []byte
		if err := stream.RecvMsg(&b); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if err := take(b); err != nil {
			return err
		}
	}
}
