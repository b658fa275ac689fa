package rpc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// ductEnds are the ends of a duct for one process: what it reads from and what it writes to.
type ductEnds [2]int

func (e ductEnds) close() error { return errors.Join(syscall.Close(e[0]), syscall.Close(e[1])) }

// open makes files of them.
func (e ductEnds) open(remote net.Addr, closed func()) *duct {
	return &duct{os.NewFile(uintptr(e[0]), "pipe"), os.NewFile(uintptr(e[1]), "pipe"), remote, closed}
}

// makeDuct makes the pipes of a duct.
func makeDuct() (mine, theirs ductEnds, err error) {
	var in, out [2]int
	if err := syscall.Pipe2(in[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return mine, theirs, os.NewSyscallError("pipe2", err)
	}
	if err := syscall.Pipe2(out[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return mine, theirs, errors.Join(os.NewSyscallError("pipe2", err), ductEnds(in).close())
	}
	return ductEnds{in[0], out[1]}, ductEnds{out[0], in[1]}, nil
}

// admit tells a client that it is admitted, and returns the duct whose other ends go with that. Where none can be made it returns c.
func (c *nearConn) admit() (net.Conn, error) {
	mine, theirs, err := makeDuct()
	if err != nil {
		_, err := c.Write([]byte{pipeAdmitted})
		return c, err
	}
	_, _, err = c.WriteMsgUnix([]byte{pipeAdmitted}, syscall.UnixRights(theirs[:]...), nil)
	if err = errors.Join(err, theirs.close()); err != nil {
		return nil, errors.Join(err, mine.close())
	}
	_ = c.UnixConn.Close() // it has done its part
	return mine.open(c.remote, c.closed), nil
}

// verdictNear reads the verdict of a server, and the ends of a duct if they come with it; nil = they do not.
func verdictNear(conn *net.UnixConn) (verdict byte, d *duct, err error) {
	var first [1]byte
	rights := make([]byte, syscall.CmsgSpace(len(ductEnds{})*4))
	_, n, flags, _, err := conn.ReadMsgUnix(first[:], rights)
	if err != nil {
		return 0, nil, err
	}
	var ends []int
	msgs, err := syscall.ParseSocketControlMessage(rights[:n])
	for i := range msgs {
		fds, ferr := syscall.ParseUnixRights(&msgs[i])
		ends, err = append(ends, fds...), errors.Join(err, ferr)
	}
	cut := flags&syscall.MSG_CTRUNC != 0 // this process has too many files open
	if err == nil && len(ends) == 0 && !cut {
		return first[0], nil, nil
	}
	if err != nil || cut || len(ends) != len(ductEnds{}) {
		for _, fd := range ends {
			err = errors.Join(err, syscall.Close(fd))
		}
		// The server has left the connection for the duct.
		return first[0], nil, errors.Join(fmt.Errorf("%d ends of a duct have arrived", len(ends)), err)
	}
	return first[0], ductEnds(ends).open(conn.RemoteAddr(), func() {}), nil
}
