package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
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

// identityRecord is the file. Sum is the checksum of the others, "" = of a version that wrote none.
type identityRecord struct {
	Identity
	Sum string `json:"sum,omitempty"`
}

func (id Identity) sum() string {
	text := fmt.Sprintf("%q %d", id.Cluster, id.BE)
	return fmt.Sprintf("%08x", crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli)))
}

// readIdentity reads whose a storage root is; an error other than os.ErrNotExist says that the file is damaged.
func readIdentity(root string) (Identity, error) {
	var rec identityRecord
	b, err := os.ReadFile(filepath.Join(root, identityFile))
	if err != nil {
		return rec.Identity, err
	}
	if err = json.Unmarshal(b, &rec); err == nil && rec.Sum != "" && rec.Sum != rec.sum() {
		err = errors.New("its checksum is wrong")
	}
	if err != nil {
		return Identity{}, fmt.Errorf("storage root %s cannot say whose it is, its %s is damaged: %w. It is left alone: put the file back as it is on the "+
			"other roots of this be, or empty the root by hand", root, identityFile, err)
	}
	return rec.Identity, nil
}

// writeIdentity replaces the file atomically and makes it durable with its directory.
func writeIdentity(root string, id Identity) error {
	if have, err := readIdentity(root); err == nil && have == id {
		return nil
	}
	b, err := json.Marshal(identityRecord{id, id.sum()})
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
