package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	lib "github.com/go-mysql-org/go-mysql/server"
)

// loginState is what the library's callbacks of one login share. It implements the library's AuthenticationHandler.
type loginState struct {
	engine  Engine
	conn    *loginConn
	account Account
	found   bool
	session Session
	info    ConnInfo
}

// GetCredential looks the account up. Everybody has one, so that the answer does not tell which users exist; the
// password is a dummy, our provider does not ask the library for it.
func (s *loginState) GetCredential(user string) (lib.Credential, bool, error) {
	s.account, s.found = s.engine.Account(user, s.conn.host)
	if !s.found {
		s.account = Account{Plugin: PluginNative}
	}
	if s.account.Plugin == "" {
		s.account.Plugin = PluginNative
	}
	return lib.Credential{Passwords: []string{"-"}, AuthPluginName: s.account.Plugin}, true, nil
}

// OnAuthSuccess opens the session; its error goes to the client instead of OK.
func (s *loginState) OnAuthSuccess(c *lib.Conn) error {
	h := s.conn.hello
	s.info = ConnInfo{
		ID: uint64(s.conn.id), User: h.user, Host: s.conn.host, Address: s.conn.Conn.RemoteAddr().String(), Account: s.account, DB: h.db, Attrs: h.attrs,
		TLS: s.conn.secure, TLSVersion: s.conn.version, Cipher: s.conn.cipher, Collation: h.collation,
		FoundRows: h.caps&mysql.CLIENT_FOUND_ROWS != 0, Interactive: h.caps&mysql.CLIENT_INTERACTIVE != 0,
	}
	sess, err := s.engine.Open(s.conn.ctx, s.info)
	if err != nil {
		s.conn.fail = err
		return err
	}
	s.session = sess
	c.SetStatus(sess.Status())
	return nil
}

// OnAuthFailure is the library's notice of a refusal, which the caller gets as an error as well.
func (s *loginState) OnAuthFailure(*lib.Conn, error) {}

// loginHandler is the library's command handler, of which only the initial database is called: it is checked when the
// session opens, not before the authentication.
type loginHandler struct{ lib.EmptyHandler }

// UseDB implements the library's Handler.
func (loginHandler) UseDB(string) error { return nil }

// login runs the connection phase on nc. On success the returned loginConn holds the stream behind the login; on
// failure the client has been told and nc is closed.
func (s *Server) login(ctx context.Context, nc net.Conn, id uint32) (*loginState, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.HandshakeTimeout)
	defer cancel()
	if err := nc.SetDeadline(time.Now().Add(s.cfg.HandshakeTimeout)); err != nil {
		return nil, fmt.Errorf("set the login deadline: %w", err)
	}
	l := newLoginConn(ctx, nc, id, s.cfg.TLS)
	st := &loginState{engine: s.engine, conn: l}
	l.state = st
	defer func() { l.state = nil }()
	if _, err := s.lib.NewCustomizedConn(l, st, loginHandler{}); err != nil {
		if st.session != nil {
			st.session.Close()
		}
		if l.fail != nil {
			err = l.fail
		}
		if l.gotHello {
			s.refused(uint64(id), l.hello.user, l.host, err)
		} else {
			s.count.loginFailures.Add(1) // a port scan, or a probe of a load balancer
		}
		return nil, err
	}
	if st.session == nil {
		return nil, errors.New("BUG: login without a session")
	}
	if err := nc.SetDeadline(time.Time{}); err != nil {
		st.session.Close()
		return nil, fmt.Errorf("clear the login deadline: %w", err)
	}
	return st, nil
}
