package replica

import "testing"

// BenchmarkStream: what goes from log to log over the loopback, small records, with
// both logs in memory.
func BenchmarkStream(b *testing.B) {
	from, to := newNodeOf(b, "a", 64<<20), newNodeOf(b, "b", 64<<20)
	defer from.close()
	defer to.close()
	_, addr := hub(b, from, 7, HubOptions{})
	end := begins(b, options(to, addr))
	to.awaits(from.End())
	const records = 1000
	start := from.End()
	b.ResetTimer()
	for range b.N {
		if err := from.current().AwaitRoom(nil); err != nil {
			b.Fatal(err)
		}
		from.write(records, 64)
	}
	to.awaits(from.End())
	b.StopTimer()
	b.SetBytes(int64(from.End()-start) / int64(b.N))
	b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "records/s")
	_ = end()
}

// BenchmarkRoundTrip: one record until it is durable in both logs.
func BenchmarkRoundTrip(b *testing.B) {
	from, to := newNodeOf(b, "a", 64<<20), newNodeOf(b, "b", 64<<20)
	defer from.close()
	defer to.close()
	acks := make(chan Ack, 1024)
	_, addr := hub(b, from, 7, HubOptions{OnAck: func(_ *Peer, a Ack) { acks <- a }})
	end := begins(b, options(to, addr))
	to.awaits(from.End())
	for b.Loop() {
		lsn := from.write(1, 64)
		if err := from.current().AwaitDurable(lsn, nil); err != nil {
			b.Fatal(err)
		}
		for (<-acks).Durable < lsn {
		}
	}
	_ = end()
}
