package beclient

import (
	"fmt"

	"stele/meta/rpc"
	"stele/proto/fepb"
)

// FE returns the client of another FE at its rpc address.
func (c *Clients) FE(address string) (fepb.FrontendClient, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn, err := c.connLocked(address)
	if err != nil {
		return nil, fmt.Errorf("dial fe %s: %w", address, err)
	}
	return fepb.NewFrontendClient(conn), nil
}

// connLocked returns the connection to an address; it is made when it is first used.
func (c *Clients) connLocked(address string) (*rpc.Conn, error) {
	if conn := c.conns[address]; conn != nil {
		return conn, nil
	}
	conn, err := rpc.DialPiped(address, rpc.DialConfig{Cluster: c.cluster, TLS: c.tls, Met: c.met}, piped...)
	if err != nil {
		return nil, err
	}
	c.conns[address] = conn
	c.showLocked()
	return conn, nil
}
