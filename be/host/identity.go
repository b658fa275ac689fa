package host

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"stele/meta/types"
)

// identityFile lies in every storage root and says to whom the disk belongs.
const identityFile = "identity.json"

// Identity is who a BE is.
type Identity struct {
	Cluster types.ClusterID `json:"cluster_id"`
	BE      types.BEID      `json:"be_id"`
}

func readIdentity(root string) (Identity, error) {
	var id Identity
	b, err := os.ReadFile(filepath.Join(root, identityFile))
	if err != nil {
		return id, err
	}
	if err := json.Unmarshal(b, &id); err != nil {
		return id, fmt.Errorf("identity of storage root %s: %w", root, err)
	}
	return id, nil
}

// writeIdentity replaces the file atomically and makes it durable with its directory.
func writeIdentity(root string, id Identity) error {
	if have, err := readIdentity(root); err == nil && have == id {
		return nil
	}
	b, err := json.Marshal(id)
	if err != nil {
		return err
	}
	tmp := filepath.Join(root, identityFile+".tmp")
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(root, identityFile)); err != nil {
		return err
	}
	dir, err := os.Open(root)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
