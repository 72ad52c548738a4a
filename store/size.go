package store

import "unsafe"

// maxSmall is the largest size that the runtime serves from size classes; what
// is larger takes whole pages.
const (
	maxSmall = 32 << 10
	pageSize = 8 << 10
)

// classes maps a size, in units of 8 bytes rounded up, to its size class.
var classes = readClasses()

// readClasses asks the runtime: a slice grown from nothing fills its class.
func readClasses() (table [maxSmall/8 + 1]uint16) {
	i := 1
	for i < len(table) {
		c := cap(append([]byte(nil), make([]byte, 8*i)...))
		for ; i < len(table) && 8*i <= c; i++ {
			table[i] = uint16(c - 1) // 32 KB must fit too
		}
	}
	return table
}

// sizeClass is the memory that an allocation of n bytes takes.
func sizeClass(n int) int64 {
	switch {
	case n == 0:
		return 0
	case n <= maxSmall:
		return int64(classes[(n+7)/8]) + 1
	}
	return int64(n+pageSize-1) &^ (pageSize - 1)
}

const (
	groupSize = int64(unsafe.Sizeof(group{}))
	tableSize = int64(unsafe.Sizeof(table{}))
)

var entrySize = sizeClass(int(unsafe.Sizeof(entry{}))) + sizeClass(int(unsafe.Sizeof(holder{})))
