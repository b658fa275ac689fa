package server

import (
	"context"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// changeUser logs another user in on the same connection. It always asks for a new answer, as the challenge that the
// client has answered may be that of a switch we did not see.
func (c *conn) changeUser(ctx context.Context, arg []byte) error {
	cur := cursor{b: arg}
	info := ConnInfo{
		ID: c.id, Host: c.info.Host, Address: c.info.Address, TLS: c.info.TLS, TLSVersion: c.info.TLSVersion, Cipher: c.info.Cipher, Collation: c.info.Collation, Attrs: c.info.Attrs,
		FoundRows: c.info.FoundRows, Interactive: c.info.Interactive,
	}
	info.User = cur.cstring()
	cur.take(cur.uint(1))
	info.DB = cur.cstring()
	if cur.bad {
		return errMalformed
	}
	if collation := cur.uint(2); !cur.bad {
		info.Collation = uint8(collation)
		if c.caps&mysql.CLIENT_PLUGIN_AUTH != 0 {
			cur.cstring()
		}
		if c.caps&mysql.CLIENT_CONNECT_ATTRS != 0 && len(cur.b) > 0 {
			info.Attrs = parseAttrs(cur.lenBytes())
		}
	}
	c.watch.stop(c) // the dialogue reads from the client
	if err := c.readUntil(time.Now().Add(c.s.cfg.HandshakeTimeout)); err != nil {
		return err
	}
	if err := c.reauthenticate(ctx, &info); err != nil {
		c.quit = true // as in MySQL: the old user's session is not given back
		return err
	}
	return c.swapSession(ctx, info)
}

func (c *conn) reauthenticate(ctx context.Context, info *ConnInfo) error {
	acc, found := c.s.engine.Account(info.User, info.Host)
	plugin := acc.Plugin
	if plugin == "" {
		plugin = PluginNative
	}
	acc.Plugin = plugin
	ctx, cancel := context.WithTimeout(ctx, c.s.cfg.HandshakeTimeout)
	defer cancel()
	salt := newSalt()
	x := connExchange{c}
	reply, err := switchPlugin(x, plugin, salt)
	if err != nil {
		return err
	}
	reply = append([]byte(nil), reply...)
	ok := false
	if found {
		ok, err = c.s.auth.verify(ctx, x, challenge{account: acc, salt: salt, reply: reply, secure: info.TLS})
		if err != nil {
			return err
		}
	}
	if !ok {
		err := denied(info.User, info.Host, !isEmpty(reply))
		c.s.refused(c.id, info.User, info.Host, err)
		return err
	}
	info.Account = acc
	return admissible(acc, info.User, info.Host, info.TLS)
}

// swapSession puts a session of the new user in the place of the old one, which rolls back what it has open.
func (c *conn) swapSession(ctx context.Context, info ConnInfo) error {
	c.closeStmts()
	sess, err := c.s.engine.Open(ctx, info)
	if err != nil {
		c.quit = true
		return err
	}
	c.sess.Close()
	c.sess = sess
	c.multi = c.caps&mysql.CLIENT_MULTI_STATEMENTS != 0
	c.schema = info.DB
	c.mu.Lock()
	c.info = info
	c.mu.Unlock()
	return c.sendOK(Result{})
}

// connExchange is the authentication dialogue in the command phase.
type connExchange struct{ c *conn }

func (x connExchange) send(payload []byte) error {
	x.c.w.begin()
	x.c.w.buf = append(x.c.w.buf, payload...)
	if err := x.c.w.end(); err != nil {
		return err
	}
	return x.c.w.flush()
}

func (x connExchange) receive() ([]byte, error) {
	c := x.c
	c.r.seq = c.w.seq
	b, err := c.r.next(loginPacketMax)
	if err != nil {
		return nil, err
	}
	c.answer()
	return b, nil
}
