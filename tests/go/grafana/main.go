// Asks the ClickHouse interface of `otel-llm up` as Grafana does: over HTTP with clickhouse-go, with
// the options of Grafana's ClickHouse data source, and reads the rows into data frames with Grafana's
// plugin SDK, which that data source stands on. Statements come as {name: SQL} on standard input;
// what came of each goes to standard output. Run by
// tests/exporters/clickhouse/interface/test_grafana.py, which sets the variables.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"log"
	"os"
	"reflect"
	"regexp"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/data/sqlutil"
)

// What the SDK cannot read by itself; the data source has such converters too.
var converters = []sqlutil.Converter{
	nullable[float64]("Float64", data.FieldTypeNullableFloat64),
	nullable[uint64]("UInt64", data.FieldTypeNullableUint64),
	nullable[uint16]("UInt16", data.FieldTypeNullableUint16),
	{
		Name:           "arrays",
		InputScanType:  reflect.TypeFor[any](),
		InputTypeRegex: regexp.MustCompile(`^Array\(`),
		FrameConverter: sqlutil.FrameConverter{
			FieldType: data.FieldTypeJSON,
			ConverterFunc: func(in any) (any, error) {
				text, err := json.Marshal(in)
				return json.RawMessage(text), err
			},
		},
	},
}

// Frame is what a panel would get.
type Frame struct {
	Rows   int      `json:"rows"`
	Names  []string `json:"names"`
	Types  []string `json:"types"`
	Failed string   `json:"failed,omitempty"`
}

func main() {
	var statements map[string]string
	if err := json.NewDecoder(os.Stdin).Decode(&statements); err != nil {
		log.Fatal(err)
	}
	db := connect()
	defer db.Close()
	if err := db.PingContext(context.Background()); err != nil {
		log.Fatal(err)
	}
	frames := map[string]Frame{}
	for name, statement := range statements {
		frames[name] = ask(db, statement)
	}
	if err := json.NewEncoder(os.Stdout).Encode(frames); err != nil {
		log.Fatal(err)
	}
}

func connect() *sql.DB {
	return clickhouse.OpenDB(&clickhouse.Options{
		Addr:     []string{os.Getenv("CLICKHOUSE_ADDR")},
		Protocol: clickhouse.HTTP,
		Auth: clickhouse.Auth{
			Database: "otel",
			Username: "otel_llm_read",
			Password: os.Getenv("CLICKHOUSE_READ_TOKEN"),
		},
		ClientInfo: clickhouse.ClientInfo{
			Products: []struct{ Name, Version string }{{"grafana", "11.6.0"}},
		},
		Compression: &clickhouse.Compression{Method: clickhouse.CompressionGZIP},
		DialTimeout: 10 * time.Second,
		ReadTimeout: 60 * time.Second,
		// The data source's row limit.
		Settings: clickhouse.Settings{"limit": 1000000},
	})
}

func ask(db *sql.DB, statement string) Frame {
	rows, err := db.QueryContext(context.Background(), statement)
	if err != nil {
		return Frame{Failed: err.Error()}
	}
	defer rows.Close()
	read, err := sqlutil.FrameFromRows(rows, -1, converters...)
	if err != nil {
		return Frame{Failed: err.Error()}
	}
	// An empty result is without columns: in Native it is no block at all.
	frame := Frame{Rows: read.Rows(), Names: []string{}, Types: []string{}}
	for _, field := range read.Fields {
		frame.Names = append(frame.Names, field.Name)
		frame.Types = append(frame.Types, field.Type().String())
	}
	return frame
}

func nullable[T any](kind string, to data.FieldType) sqlutil.Converter {
	return sqlutil.Converter{
		Name:          kind,
		InputScanType: reflect.TypeFor[sql.Null[T]](),
		InputTypeName: "Nullable(" + kind + ")",
		FrameConverter: sqlutil.FrameConverter{
			FieldType: to,
			ConverterFunc: func(in any) (any, error) {
				read := in.(*sql.Null[T])
				if !read.Valid {
					return (*T)(nil), nil
				}
				value := read.V
				return &value, nil
			},
		},
	}
}
