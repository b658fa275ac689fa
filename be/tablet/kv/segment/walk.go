package segment

import (
	"errors"
	"os"
)

// Found is what Walk tells of a segment.
type Found struct {
	Records, Bytes int64 // that are sound
	Damaged        int64 // records whose value is not what its checksum says
	Lost           int64 // bytes that belong to no record, but for zeros
}

// Walk reads a segment by itself, from its beginning to its end, and calls fn, which may be nil, with each sound record: whatever
// became of the pointers, this is what there is. Behind bytes that are no record it goes on with the next one.
func Walk(id uint32, path string, fn func(Record, Pointer) error) (found Found, err error) {
	f, err := openFile(id, path)
	if errors.Is(err, os.ErrNotExist) || err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, f.release()) }()
	err = f.read(func() (err error) {
		found, err = walk(f.data, id, fn)
		return err
	})
	return found, err
}

func walk(data []byte, id uint32, fn func(Record, Pointer) error) (found Found, err error) {
	for at := int64(0); at < int64(len(data)); {
		rec, p, ok := readRecord(data, id, uint32(at))
		if !ok {
			for _, b := range data[at:min(at+recordAlign, int64(len(data)))] {
				if b != 0 {
					found.Lost++
				}
			}
			at += recordAlign
			continue
		}
		WillNeed(rec.Value)
		n := recordSize(len(rec.Key), len(rec.Value))
		at += n
		if SumOf(rec.Key, rec.Value) != p.Sum {
			found.Damaged++
			continue
		}
		found.Records, found.Bytes = found.Records+1, found.Bytes+n
		if fn != nil {
			if err := fn(rec, p); err != nil {
				return found, err
			}
		}
	}
	return found, nil
}
