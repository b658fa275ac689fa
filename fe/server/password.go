package server

import (
	"crypto/sha1" // of mysql_native_password, as the protocol has it
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/pingcap/tidb/pkg/parser/auth"

	"stele/sql/errno"
)

// HashPassword makes the authentication string that an account with the given plugin stores for a password. The
// empty password is stored as the empty string.
func HashPassword(plugin, password string) (string, error) {
	if password == "" {
		return "", nil
	}
	switch plugin {
	case PluginNative:
		return mysql.EncodePasswordHex(mysql.NativePasswordHash([]byte(password))), nil
	case PluginSHA2:
		return auth.NewHashPassword(password, PluginSHA2), nil
	}
	return "", clientErrorf(errno.PluginNotLoaded, "Plugin '%s' is not loaded", plugin)
}

// sha2StoredLen is the length of "$A$", three digits of rounds, "$", 20 bytes of salt and 43 of hash.
const sha2StoredLen = 3 + 3 + 1 + 20 + 43

// checkNative verifies the answer to a challenge against the stored "*HEX".
func checkNative(stored string, salt, reply []byte) bool {
	if stored == "" || len(reply) != 20 {
		return false
	}
	hash, err := mysql.DecodePasswordHex(stored)
	return err == nil && mysql.CompareNativePassword(reply, hash, salt)
}

// checkSHA2 verifies a clear password against the stored "$A$…". It takes some 3 ms of CPU, by design.
func checkSHA2(stored string, password []byte) bool {
	if len(stored)-strings.LastIndexByte(stored, '$') <= auth.SALT_LENGTH {
		return false // the library slices the salt out unchecked
	}
	ok, err := auth.CheckHashingPassword([]byte(stored), string(password), PluginSHA2)
	return err == nil && ok
}

// sha2Digest is what the fast path remembers of a password: SHA256(SHA256(password)).
func sha2Digest(password []byte) [sha256.Size]byte {
	once := sha256.Sum256(password)
	return sha256.Sum256(once[:])
}

// checkSHA2Fast verifies the answer to a challenge, which is SHA256(password) XOR SHA256(digest, salt).
func checkSHA2Fast(digest [sha256.Size]byte, salt, reply []byte) bool {
	if len(reply) != sha256.Size {
		return false
	}
	mask := sha256.Sum256(append(digest[:], salt...))
	for i := range mask {
		mask[i] ^= reply[i]
	}
	got := sha256.Sum256(mask[:])
	return subtle.ConstantTimeCompare(got[:], digest[:]) == 1
}

// CheckHash refuses an authentication string that no password can have under a plugin: nobody could log in.
func CheckHash(plugin, stored string) error {
	ok := stored == ""
	switch plugin {
	case PluginNative:
		hash, err := mysql.DecodePasswordHex(stored)
		ok = ok || err == nil && len(hash) == sha1.Size && strings.HasPrefix(stored, "*")
	case PluginSHA2:
		ok = ok || strings.HasPrefix(stored, "$A$") && len(stored) == sha2StoredLen
	default:
		return clientErrorf(errno.PluginNotLoaded, "Plugin '%s' is not loaded", plugin)
	}
	if !ok {
		return clientErrorf(errno.PasswordFormat, "The password hash doesn't have the expected format.")
	}
	return nil
}
