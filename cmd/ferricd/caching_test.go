package main_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"
)

// rueidis caches by default: it reads inside of a transaction after CLIENT CACHING
// YES, and drops what it is told to drop.
func TestRueidisCache(t *testing.T) {
	p := start(t)
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{p.addr()}})
	require.NoError(t, err)
	defer c.Close()
	ctx := t.Context()
	writer := redis.NewClient(&redis.Options{Addr: p.addr()})
	defer func() { _ = writer.Close() }()
	get := func(key string) (value string, cached bool) {
		r := c.DoCache(ctx, c.B().Get().Key(key).Cache(), time.Hour)
		v, err := r.ToString()
		if rueidis.IsRedisNil(err) {
			return "", r.IsCacheHit()
		}
		require.NoError(t, err)
		return v, r.IsCacheHit()
	}
	becomes := func(key, want string) {
		t.Helper()
		// An expired key is missing at once and is told of when it is deleted.
		require.Eventually(t, func() bool {
			v, cached := get(key)
			return v == want && cached
		}, 10*time.Second, time.Millisecond)
	}
	require.NoError(t, writer.Set(ctx, "k", "one", 0).Err())
	v, cached := get("k")
	require.Equal(t, "one", v)
	require.False(t, cached)
	becomes("k", "one")
	require.NoError(t, writer.Set(ctx, "k", "two", 0).Err())
	becomes("k", "two")
	require.NoError(t, writer.Del(ctx, "k").Err())
	becomes("k", "")
	require.NoError(t, writer.Set(ctx, "k", "three", 50*time.Millisecond).Err())
	becomes("k", "")
	require.NoError(t, writer.Set(ctx, "k", "four", 0).Err())
	becomes("k", "four")
	require.NoError(t, writer.FlushAll(ctx).Err())
	becomes("k", "")

	// Several at once, and a collection.
	require.NoError(t, writer.HSet(ctx, "h", "f", "1").Err())
	field := func() string {
		v, _ := c.DoCache(ctx, c.B().Hget().Key("h").Field("f").Cache(), time.Hour).ToString()
		return v
	}
	require.Equal(t, "1", field())
	require.NoError(t, writer.HIncrBy(ctx, "h", "f", 41).Err())
	require.Eventually(t, func() bool { return field() == "42" }, 10*time.Second, time.Millisecond)
	require.NoError(t, writer.MSet(ctx, "a", "1", "b", "2").Err())
	values, err := rueidis.MGetCache(c, ctx, time.Hour, []string{"a", "b", "none"})
	require.NoError(t, err)
	b := values["b"]
	v, err = b.ToString()
	require.NoError(t, err)
	require.Equal(t, "2", v)
}

// Many readers that cache and writers that do not wait for them: when all is quiet,
// every cache tells the truth.
func TestRueidisCachesSettle(t *testing.T) {
	p := start(t)
	ctx := t.Context()
	const keys = 8
	var clients []rueidis.Client
	for range 3 {
		c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{p.addr()}})
		require.NoError(t, err)
		defer c.Close()
		clients = append(clients, c)
	}
	read := func(c rueidis.Client, k string) string {
		v, err := c.DoCache(ctx, c.B().Get().Key(k).Cache(), time.Hour).ToString()
		if err != nil && !rueidis.IsRedisNil(err) {
			t.Error(err)
		}
		return v
	}
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			for n := range 500 {
				k := fmt.Sprint("k", (n*7+i)%keys)
				read(c, fmt.Sprint("k", (n*3+i)%keys))
				if err := c.Do(ctx, c.B().Incr().Key(k).Build()).Error(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for k := range keys {
		key := fmt.Sprint("k", k)
		want, err := clients[0].Do(ctx, clients[0].B().Get().Key(key).Build()).ToString()
		require.NoError(t, err)
		for _, c := range clients {
			require.Eventually(t, func() bool { return read(c, key) == want }, 10*time.Second, time.Millisecond)
		}
	}
}

func TestGoRedisPubSub(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprint("RESP", protocol), func(t *testing.T) {
			p := start(t, "--notify-keyspace-events", "KA")
			c := redis.NewClient(&redis.Options{Addr: p.addr(), Protocol: protocol})
			defer func() { _ = c.Close() }()
			ctx := t.Context()
			sub := c.Subscribe(ctx, "one", "two")
			defer func() { _ = sub.Close() }()
			for range 2 {
				_, err := sub.Receive(ctx)
				require.NoError(t, err)
			}
			require.NoError(t, sub.PSubscribe(ctx, "__keyspace@0__:*"))
			_, err := sub.Receive(ctx)
			require.NoError(t, err)
			messages := sub.Channel()
			next := func() string {
				select {
				case m := <-messages:
					return m.Channel + " " + m.Payload
				case <-time.After(10 * time.Second):
					return "(nothing came)"
				}
			}
			n, err := c.Publish(ctx, "two", "hello").Result()
			require.NoError(t, err)
			require.EqualValues(t, 1, n)
			require.Equal(t, "two hello", next())
			require.NoError(t, c.Set(ctx, "k", "v", 0).Err())
			require.Equal(t, "__keyspace@0__:k set", next())
			require.NoError(t, sub.Unsubscribe(ctx, "two"))
			require.Eventually(t, func() bool { return c.PubSubNumSub(ctx, "two").Val()["two"] == 0 }, 10*time.Second, time.Millisecond)
			require.NoError(t, c.Publish(ctx, "two", "gone").Err())
			require.NoError(t, c.Publish(ctx, "one", "still here").Err())
			require.Equal(t, "one still here", next())

			shard := c.SSubscribe(ctx, "s")
			defer func() { _ = shard.Close() }()
			_, err = shard.Receive(ctx)
			require.NoError(t, err)
			require.NoError(t, c.SPublish(ctx, "s", "x").Err())
			m, err := shard.ReceiveMessage(ctx)
			require.NoError(t, err)
			require.Equal(t, "x", m.Payload)
		})
	}
}
