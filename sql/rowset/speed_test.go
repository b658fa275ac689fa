package rowset

import (
	"testing"

	"stele/sql/vec"
)

// BenchmarkDecode is the decoding of one vector in each encoding.
func BenchmarkDecode(b *testing.B) {
	names := map[byte]string{encConst: "const", encFOR: "for14", encDelta: "delta", encRaw: "raw", encRuns: "runs", encScaled: "scaled",
		encNarrow: "narrow", encAllNull: "null", encDict: "dict", encPlain: "plain", encBlocks: "blocks"}
	for _, e := range everyEncoding() {
		enc := AppendVector(nil, e.v, 0, e.v.N)
		b.Run(names[e.enc], func(b *testing.B) {
			for b.Loop() {
				if _, err := decodeNew(e.v.Type, e.v.N, enc); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*e.v.N), "ns/row")
			b.ReportMetric(float64(len(enc))/float64(e.v.N), "B/row")
		})
	}
}

// BenchmarkUnpack is the hottest loop of a scan at widths of each of its forms.
func BenchmarkUnpack(b *testing.B) {
	for _, width := range []uint{1, 4, 7, 12, 16, 21, 28, 33} {
		b.Run(string(rune('0'+width/10))+string(rune('0'+width%10)), func(b *testing.B) {
			dst := make([]int64, vec.MaxRows)
			for i := range dst {
				dst[i] = int64(i) & (1<<width - 1)
			}
			src := appendPacked(nil, dst, 0, width)
			for b.Loop() {
				unpackInts(dst, src, 5, width)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*vec.MaxRows), "ns/row")
		})
	}
}
