package conf

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Medium is the kind of storage under a disk.
type Medium string

// The media a disk can declare.
const (
	HDD Medium = "hdd"
	SSD Medium = "ssd"
)

// StorageRoot is one disk of a BE as storage_root_path declares it.
type StorageRoot struct {
	Path     string
	Medium   Medium
	Capacity int64 // bytes that may be used; 0 = what the file system has
}

// String returns the form that storage_root_path reads.
func (s StorageRoot) String() string {
	text := s.Path + ",medium:" + string(s.Medium)
	if s.Capacity > 0 {
		text += ",capacity:" + strconv.FormatInt(s.Capacity, 10) + "B"
	}
	return text
}

// maxDisks bounds the disks of one BE: each costs two stores and their memory.
const maxDisks = 64

// storageRoots declares an item that lists disks as `path[,medium:ssd|hdd][,capacity:bytes]` joined by semicolons.
func (g *Group) storageRoots(key, def, doc string) *Item[[]StorageRoot] {
	d := declare(key, String, doc, nil)
	d.spec.Default = def
	d.spec.Bounds = fmt.Sprintf("1 to %d disks, or none", maxDisks)
	d.spec.parse = func(text string) (any, error) { roots, err := parseStorageRoots(text); return roots, err }
	d.spec.format = func(v any) string {
		parts := []string{}
		for _, root := range v.([]StorageRoot) {
			parts = append(parts, root.String())
		}
		if len(parts) == 0 {
			return noStorage
		}
		return strings.Join(parts, ";")
	}
	d.spec.rebase = func(v any, base string) any {
		roots := []StorageRoot{}
		for _, root := range v.([]StorageRoot) {
			roots = append(roots, StorageRoot{rebasePath(root.Path, base), root.Medium, root.Capacity})
		}
		return roots
	}
	g.add(d.spec)
	return &Item[[]StorageRoot]{d.spec}
}

// noStorage is the item of a BE that holds no replicas.
const noStorage = "none"

func parseStorageRoots(text string) ([]StorageRoot, error) {
	roots := []StorageRoot{}
	if strings.EqualFold(strings.TrimSpace(text), noStorage) {
		return roots, nil
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		root, err := parseStorageRoot(part)
		if err != nil {
			return nil, err
		}
		if seen[root.Path] {
			return nil, fmt.Errorf("names the folder %s twice", root.Path)
		}
		seen[root.Path] = true
		roots = append(roots, root)
	}
	if len(roots) == 0 || len(roots) > maxDisks {
		return nil, fmt.Errorf("must name 1 to %d disks, or be the word none", maxDisks)
	}
	return roots, nil
}

// parseStorageRoot reads `path[,medium:ssd|hdd][,capacity:bytes]`. A folder name that ends in .SSD or .HDD hints at the
// medium, an explicit medium overrides the hint. A capacity without a unit is in GB.
func parseStorageRoot(text string) (StorageRoot, error) {
	parts := strings.Split(text, ",")
	path := strings.TrimSpace(parts[0])
	if path == "" {
		return StorageRoot{}, fmt.Errorf("has a disk without a folder in %q", text)
	}
	root := StorageRoot{Path: filepath.Clean(path), Medium: HDD}
	switch strings.ToUpper(filepath.Ext(root.Path)) {
	case ".SSD":
		root.Medium = SSD
	case ".HDD":
		root.Medium = HDD
	}
	for _, property := range parts[1:] {
		name, value, _ := strings.Cut(property, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.ToLower(strings.TrimSpace(value))
		switch {
		case name == "medium" && (Medium(value) == SSD || Medium(value) == HDD):
			root.Medium = Medium(value)
		case name == "medium":
			return root, fmt.Errorf("has the unknown medium %q in %q: use ssd or hdd", value, text)
		case name == "capacity":
			if _, err := strconv.ParseInt(value, 10, 64); err == nil {
				value += "GB" // as StarRocks reads a bare number
			}
			n, err := parseBytes(value)
			if err != nil || n < 1 {
				return root, fmt.Errorf("has the bad capacity %q in %q: say bytes, such as 50GB", value, text)
			}
			root.Capacity = n
		default:
			return root, fmt.Errorf("has the unknown property %q in %q: only medium and capacity exist", name, text)
		}
	}
	return root, nil
}

// disksApart faults a disk whose folder lies within that of another one: what is asked of the one would be done to both.
func disksApart(v *Values) (faults []Fault) {
	roots := StorageRootPath.Get(v)
	for _, outer := range roots {
		for _, inner := range roots {
			if strings.HasPrefix(inner.Path, strings.TrimSuffix(outer.Path, "/")+"/") && inner.Path != outer.Path {
				faults = append(faults, crossFault(v, StorageRootPath.Spec, fmt.Sprintf("has the folder %s within %s; give each disk a folder of its own", inner.Path, outer.Path)))
			}
		}
	}
	return faults
}
