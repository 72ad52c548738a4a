package rdb

// lzfMost is how many bytes one byte of compressed text makes at most: three may
// stand for 264.
const lzfMost = 88

const lzfReach = 3 // the shortest repetition is of so many bytes

// lzf uncompresses src, which makes exactly n bytes, into room and returns it.
//
// A byte below 32 is followed by that many bytes and one more, which stand for
// themselves. In any other the upper three bits are a length, to which the next
// byte adds if they are all set; the lower five and the next byte are a distance: the
// bytes that came that long ago come again.
func lzf(room, src []byte, n uint64) ([]byte, error) {
	if n > maxText || n > uint64(len(src))*lzfMost {
		return nil, bad("a compressed text of %d bytes in %d", n, len(src))
	}
	if uint64(cap(room)) < n || cap(room) > inputKeep {
		room = make([]byte, 0, n)
	}
	out, size := room[:0], int(n)
	for len(src) > 0 {
		first := int(src[0])
		src = src[1:]
		if first < 32 {
			if first++; first > len(src) || len(out)+first > size {
				return nil, bad("a compressed text ends within")
			}
			out = append(out, src[:first]...)
			src = src[first:]
			continue
		}
		length := first >> 5
		if length == 7 {
			if len(src) == 0 {
				return nil, bad("a compressed text ends within")
			}
			length += int(src[0])
			src = src[1:]
		}
		length += lzfReach - 1
		if len(src) == 0 {
			return nil, bad("a compressed text ends within")
		}
		from := len(out) - (first&0x1f<<8 | int(src[0])) - 1
		src = src[1:]
		if from < 0 || len(out)+length > size {
			return nil, bad("a compressed text repeats what is not there")
		}
		for i := range length { // what is repeated may not be there in full yet
			out = append(out, out[from+i])
		}
	}
	if len(out) != size {
		return nil, bad("a compressed text of %d bytes, not %d", len(out), size)
	}
	return out, nil
}
