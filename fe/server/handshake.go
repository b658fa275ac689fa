package server

import (
	"github.com/go-mysql-org/go-mysql/mysql"

	"stele/sql/errno"
)

// loginPacketMax bounds a packet of a peer that has not authenticated: user, database and 64 KiB of attributes.
const loginPacketMax = 80 << 10

// advertised are the capabilities that a client may use; CLIENT_SSL is added when there is a certificate.
const advertised = mysql.CLIENT_LONG_PASSWORD | mysql.CLIENT_LOCAL_FILES | mysql.CLIENT_FOUND_ROWS | mysql.CLIENT_LONG_FLAG |
	mysql.CLIENT_CONNECT_WITH_DB | mysql.CLIENT_COMPRESS | mysql.CLIENT_ODBC | mysql.CLIENT_IGNORE_SPACE |
	mysql.CLIENT_PROTOCOL_41 | mysql.CLIENT_INTERACTIVE | mysql.CLIENT_TRANSACTIONS |
	mysql.CLIENT_SECURE_CONNECTION | mysql.CLIENT_MULTI_STATEMENTS | mysql.CLIENT_MULTI_RESULTS |
	mysql.CLIENT_PS_MULTI_RESULTS | mysql.CLIENT_PLUGIN_AUTH | mysql.CLIENT_CONNECT_ATTRS |
	mysql.CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA | mysql.CLIENT_SESSION_TRACK | mysql.CLIENT_DEPRECATE_EOF

// required are the capabilities without which no login is possible.
const required = mysql.CLIENT_PROTOCOL_41 | mysql.CLIENT_SECURE_CONNECTION

// sslRequestLen is the length of the packet that asks for TLS: a login packet cut before the user name.
const sslRequestLen = 32

// hello is the client's login packet.
type hello struct {
	caps      uint32 // masked with what was advertised
	collation uint8
	user      string
	db        string
	attrs     map[string]string
}

var errBadHandshake = clientErrorf(errno.HandshakeError, "Bad handshake")

// parseHello decodes and checks a login packet. caps says what was advertised.
func parseHello(payload []byte, caps uint32) (hello, error) {
	c := cursor{b: payload}
	h := hello{caps: uint32(c.uint(4)) & caps}
	c.take(4) // the client's own packet limit
	h.collation = uint8(c.uint(1))
	c.take(23)
	if c.bad || h.caps&required != required {
		return hello{}, errBadHandshake
	}
	h.user = c.cstring()
	if h.caps&mysql.CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA != 0 {
		c.lenBytes()
	} else {
		c.take(c.uint(1))
	}
	if h.caps&mysql.CLIENT_CONNECT_WITH_DB != 0 {
		h.db = c.cstring()
	}
	if h.caps&mysql.CLIENT_PLUGIN_AUTH != 0 {
		c.cstring()
	}
	if h.caps&mysql.CLIENT_CONNECT_ATTRS != 0 && len(c.b) > 0 {
		h.attrs = parseAttrs(c.lenBytes())
	}
	if c.bad {
		return hello{}, errBadHandshake
	}
	return h, nil
}

// parseAttrs decodes connection attributes. They are informative, so a malformed tail is dropped.
func parseAttrs(b []byte) map[string]string {
	c := cursor{b: b}
	attrs := map[string]string{}
	for len(c.b) > 0 {
		k, v := c.lenBytes(), c.lenBytes()
		if c.bad {
			break
		}
		attrs[string(k)] = string(v)
	}
	return attrs
}
