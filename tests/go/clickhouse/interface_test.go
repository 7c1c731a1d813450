// What clickhouse-go does over HTTP, which is what the collector's exporter and Grafana do: against
// the ClickHouse interface of `otel-llm up`, in each of its compressions. Run by
// tests/exporters/clickhouse/interface/test_go.py, which sets the variables.
package clickhouse

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
)

var compressions = map[string]clickhouse.CompressionMethod{
	"none":    clickhouse.CompressionNone,
	"lz4":     clickhouse.CompressionLZ4,
	"zstd":    clickhouse.CompressionZSTD,
	"gzip":    clickhouse.CompressionGZIP,
	"deflate": clickhouse.CompressionDeflate,
}

func options(method clickhouse.CompressionMethod) *clickhouse.Options {
	level := 3
	return &clickhouse.Options{
		Addr:        []string{os.Getenv("CLICKHOUSE_ADDR")},
		Protocol:    clickhouse.HTTP,
		Auth:        clickhouse.Auth{Database: "otel", Username: "otel_llm", Password: os.Getenv("CLICKHOUSE_TOKEN")},
		Compression: &clickhouse.Compression{Method: method, Level: level},
		Settings:    clickhouse.Settings{"async_insert": "true"},
	}
}

func open(t *testing.T, opt *clickhouse.Options) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func each(t *testing.T, body func(t *testing.T, name string, conn driver.Conn)) {
	for name, method := range compressions {
		t.Run(name, func(t *testing.T) { body(t, name, open(t, options(method))) })
	}
}

func TestPing(t *testing.T) {
	each(t, func(t *testing.T, _ string, conn driver.Conn) {
		if err := conn.Ping(context.Background()); err != nil {
			t.Fatal(err)
		}
		version, err := conn.ServerVersion()
		if err != nil || version.Revision < 54454 {
			t.Fatalf("version %v, error %v", version, err)
		}
	})
}

// A batch as the collector's exporter sends it comes back as it was, whatever the types.
func TestRowsComeBack(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, name string, conn driver.Conn) {
		const insert = `INSERT INTO "otel"."otel_traces" (Timestamp, TraceId, SpanName, SpanKind, ServiceName,
			ResourceAttributes, Duration, Events.Timestamp, Events.Name, Events.Attributes) VALUES (?,?,?,?,?,?,?,?,?,?)`
		batch, err := conn.PrepareBatch(ctx, insert)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Unix(1_790_000_000, 123456789).UTC()
		attributes := map[string]string{"service.name": "go", "long": strings.Repeat("x", 300), "": "empty key"}
		trace := "go-" + name
		for n := range 5000 {
			err := batch.Append(begin.Add(time.Duration(n)), trace, fmt.Sprintf("span %d", n), "Server", "go", attributes,
				uint64(n), []time.Time{begin}, []string{"event"}, []map[string]string{{"a": "b"}})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := batch.Send(); err != nil {
			t.Fatal(err)
		}
		rows, err := conn.Query(ctx, `SELECT Timestamp, SpanName, ResourceAttributes, Duration, Events.Timestamp, Events.Name,
			Events.Attributes, SpanKind FROM otel_traces WHERE TraceId = {trace:String} ORDER BY Timestamp`,
			clickhouse.Named("trace", trace))
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		count := 0
		for ; rows.Next(); count++ {
			var when time.Time
			var span, kind string
			var read map[string]string
			var duration uint64
			var times []time.Time
			var names []string
			var maps []map[string]string
			if err := rows.Scan(&when, &span, &read, &duration, &times, &names, &maps, &kind); err != nil {
				t.Fatal(err)
			}
			if !when.Equal(begin.Add(time.Duration(count))) || span != fmt.Sprintf("span %d", count) ||
				duration != uint64(count) || kind != "Server" || !reflect.DeepEqual(read, attributes) ||
				!times[0].Equal(begin) || names[0] != "event" || maps[0]["a"] != "b" {
				t.Fatalf("row %d: %v %q %v %d %v %v %v", count, when, span, read, duration, times, names, maps)
			}
		}
		if rows.Err() != nil || count != 5000 {
			t.Fatalf("%d rows, error %v", count, rows.Err())
		}
	})
}

// Types that a dashboard reads: each is scanned from a block of many columns.
func TestTypes(t *testing.T) {
	each(t, func(t *testing.T, _ string, conn driver.Conn) {
		var (
			low    string
			null   *string
			number float64
			tuple  []any
			nested [][]string
			pairs  map[string]map[string]uint8
			addr   net.IP
			day    time.Time
			is     bool
		)
		row := conn.QueryRow(context.Background(), `SELECT toLowCardinality('low'), CAST(NULL, 'Nullable(String)'), 1.5,
			(1, 'a'), [['a'], []], CAST(map('a', map('b', 1)), 'Map(LowCardinality(String), Map(String, UInt8))'),
			toIPv4('1.2.3.4'), toDate('2026-01-02'), true`)
		if err := row.Scan(&low, &null, &number, &tuple, &nested, &pairs, &addr, &day, &is); err != nil {
			t.Fatal(err)
		}
		if low != "low" || null != nil || number != 1.5 || len(tuple) != 2 || len(nested) != 2 ||
			pairs["a"]["b"] != 1 || addr.String() != "1.2.3.4" || day.Day() != 2 || !is {
			t.Fatal(low, null, number, tuple, nested, pairs, addr, day, is)
		}
	})
}

// Many blocks arrive as a stream, and an error among them is told with its text.
func TestStreams(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, _ string, conn driver.Conn) {
		rows, err := conn.Query(ctx, "SELECT number, repeat('x', 50) FROM numbers(200000)")
		if err != nil {
			t.Fatal(err)
		}
		var sum, number uint64
		var text string
		for rows.Next() {
			if err := rows.Scan(&number, &text); err != nil {
				t.Fatal(err)
			}
			sum += number
		}
		if rows.Err() != nil || sum != 199999*100000 {
			t.Fatal(sum, rows.Err())
		}
		rows, err = conn.Query(ctx, "SELECT throwIf(number = 200000, 'late') FROM numbers(300000) SETTINGS max_block_size = 10000")
		for err == nil && rows.Next() {
		}
		if err == nil {
			err = rows.Err()
		}
		if err == nil || !strings.Contains(err.Error(), "late") {
			t.Fatalf("the error in mid-stream was not told: %v", err)
		}
	})
}

// What the door refuses is an error with ClickHouse's number, whatever the compression.
func TestErrors(t *testing.T) {
	each(t, func(t *testing.T, _ string, conn driver.Conn) {
		for sql, code := range map[string]string{
			"SELECT nope":                          "Code: 47.",
			"SELECT * FROM file('/etc/passwd')":    "Code: 497.",
			"SELECT count() FROM system.processes": "Code: 497.",
		} {
			_, err := conn.Query(context.Background(), sql)
			if err == nil || !strings.Contains(err.Error(), code) {
				t.Fatalf("%s: %v", sql, err)
			}
		}
	})
}

func TestUsers(t *testing.T) {
	ctx := context.Background()
	opt := options(clickhouse.CompressionLZ4)
	opt.Auth.Username, opt.Auth.Password = "otel_llm_read", os.Getenv("CLICKHOUSE_READ_TOKEN")
	reader := open(t, opt)
	var count uint64
	if err := reader.QueryRow(ctx, "SELECT count() FROM otel_logs").Scan(&count); err != nil {
		t.Fatal(err)
	}
	if err := reader.Exec(ctx, "INSERT INTO otel_logs (Body) SELECT 'x'"); err == nil {
		t.Fatal("the reader wrote")
	}
	opt.Auth.Password = "wrong"
	if err := open(t, opt).Ping(ctx); err == nil || !strings.Contains(err.Error(), "516") {
		t.Fatal(err)
	}
}

// database/sql, as Grafana's data source uses it, and a parameter that holds quotes.
func TestDatabaseSQL(t *testing.T) {
	db := clickhouse.OpenDB(options(clickhouse.CompressionGZIP))
	defer db.Close()
	var text string
	odd := `it's "a" ; -- DROP`
	if err := db.QueryRow("SELECT {text:String}", sql.Named("text", odd)).Scan(&text); err != nil || text != odd {
		t.Fatalf("%q, %v", text, err)
	}
}

func TestAsyncInsert(t *testing.T) {
	ctx := context.Background()
	conn := open(t, options(clickhouse.CompressionNone))
	if err := conn.AsyncInsert(ctx, "INSERT INTO otel_logs (Body) VALUES ('async from go')", true); err != nil {
		t.Fatal(err)
	}
	var count uint64
	err := conn.QueryRow(ctx, "SELECT count() FROM otel_logs WHERE Body = 'async from go'").Scan(&count)
	if err != nil || count != 1 {
		t.Fatal(count, err)
	}
}

// External tables are not there; the driver is told so.
func TestExternalTables(t *testing.T) {
	table, err := ext.NewTable("other", ext.Column("a", "UInt8"))
	if err != nil {
		t.Fatal(err)
	}
	ctx := clickhouse.Context(context.Background(), clickhouse.WithExternalTable(table))
	conn := open(t, options(clickhouse.CompressionNone))
	if _, err := conn.Query(ctx, "SELECT a FROM other"); err == nil || !strings.Contains(err.Error(), "Code: 48") {
		t.Fatal(err)
	}
}

func TestConcurrency(t *testing.T) {
	conn := open(t, options(clickhouse.CompressionLZ4))
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for turn := range 10 {
				var read int64
				want := int64(worker*100 + turn)
				err := conn.QueryRow(context.Background(), "SELECT {n:Int64}", clickhouse.Named("n", fmt.Sprint(want))).Scan(&read)
				if err != nil || read != want {
					t.Errorf("%d, %v", read, err)
				}
			}
		}()
	}
	wait.Wait()
}
