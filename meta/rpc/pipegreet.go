package rpc

import (
	"bufio"
	"errors"
	"io"
	"net"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// greet returns the connection on which a peer takes calls: conn, or a duct in its place; nil when the peer knows no pipes: it hangs up
// on what is no HTTP/2. Whichever of them it does not return is closed.
func greet(conn net.Conn, cluster *Cluster) (net.Conn, error) {
	if err := introduce(conn, cluster); err != nil {
		_ = conn.Close() // the error before it tells why
		return nil, status.Error(codes.Unavailable, "greet: "+err.Error())
	}
	verdict, d, err := readVerdict(conn)
	if err == nil && verdict == pipeAdmitted && d == nil {
		if err = conn.SetDeadline(time.Time{}); err == nil {
			return conn, nil
		}
	}
	defer conn.Close()
	switch {
	case errors.Is(err, io.EOF), isReset(err):
		return nil, nil
	case err != nil:
		return nil, status.Error(codes.Unavailable, "greet: "+err.Error())
	case verdict == pipeAdmitted:
		return d, nil
	case verdict == pipeRefused:
		return nil, readRefusal(conn)
	}
	return nil, nil
}

// introduce says which cluster this process belongs to.
func introduce(conn net.Conn, cluster *Cluster) error {
	if err := conn.SetDeadline(time.Now().Add(connectTimeout)); err != nil {
		return err
	}
	id := cluster.ID()
	_, err := conn.Write(append(append([]byte(pipeMagic), byte(len(id))), id...))
	return err
}

// readVerdict reads what a peer makes of this one, and the duct that it may give with it.
func readVerdict(conn net.Conn) (verdict byte, d *duct, err error) {
	if unix, ok := conn.(*net.UnixConn); ok {
		return verdictNear(unix)
	}
	var first [1]byte
	_, err = io.ReadFull(conn, first[:])
	return first[0], nil, err
}

// readRefusal reads why a peer refuses this one.
func readRefusal(conn net.Conn) error {
	f, err := readFrame(bufio.NewReader(conn))
	if err != nil {
		return status.Error(codes.Unavailable, "greet: "+err.Error())
	}
	return fromStatus(decodeStatus(f.body))
}
