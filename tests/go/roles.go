// pgx and lib/pq through pgscrim: text and binary results, kept statements, batches, COPY, typed errors, listeners.
//
// Environment: PROXY_PORT, ROLE (support: restricted, owner: exempt). Ends with `ok`.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
	"github.com/lib/pq"
)

var (
	role   = os.Getenv("ROLE")
	masked = role == "support"
	dsn    = fmt.Sprintf("postgres://%s@127.0.0.1:%s/shop?sslmode=disable", role, os.Getenv("PROXY_PORT"))
)

func phone(n int) string {
	if masked {
		return fmt.Sprintf("*****%03d", n)
	}
	return fmt.Sprintf("0901234%03d", n)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func same(expected, got any) {
	if fmt.Sprint(expected) != fmt.Sprint(got) {
		panic(fmt.Sprintf("expected %v, got %v", expected, got))
	}
}

func refused(code string, err error) *pgconn.PgError {
	var own *pgconn.PgError
	if !errors.As(err, &own) {
		panic(fmt.Sprintf("not refused with %s: %v", code, err))
	}
	same(code, own.Code)
	if code == "42501" && !strings.HasPrefix(own.Hint, "PGS") {
		panic(own.Hint)
	}
	return own
}

func withPgx(ctx context.Context) {
	for _, mode := range []string{"prepare", "describe", "simple"} {
		options := "&pool_max_conns=3"
		if mode != "simple" {
			options += "&statement_cache_mode=" + mode
		}
		config, err := pgxpool.ParseConfig(dsn + options)
		check(err)
		config.ConnConfig.PreferSimpleProtocol = mode == "simple"
		pool, err := pgxpool.ConnectConfig(ctx, config)
		check(err)
		for n := 1; n <= 10; n++ {
			var id, score int
			var tel string
			var email *string
			var created time.Time
			check(pool.QueryRow(ctx, "SELECT id, phone, email, score, created FROM customers WHERE id = $1", n).Scan(&id, &tel, &email, &score, &created))
			same(phone(n), tel)
			same(masked, email == nil)
			same(int64(1735787045), created.Unix())
		}
		rows, err := pool.Query(ctx, "SELECT phone FROM customers WHERE id = ANY($1) ORDER BY id", []int{1, 2})
		check(err)
		var phones []string
		for rows.Next() {
			var tel string
			check(rows.Scan(&tel))
			phones = append(phones, tel)
		}
		check(rows.Err())
		same([]string{phone(1), phone(2)}, phones)
		if mode != "simple" {
			batch := &pgx.Batch{}
			for n := 1; n <= 30; n++ {
				batch.Queue("SELECT phone FROM customers WHERE id = $1", n)
			}
			results := pool.SendBatch(ctx, batch)
			for n := 1; n <= 30; n++ {
				var tel string
				check(results.QueryRow().Scan(&tel))
				same(phone(n), tel)
			}
			check(results.Close())
		}
		tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
		check(err)
		copied, err := tx.CopyFrom(ctx, pgx.Identifier{"orders"}, []string{"id", "customer_id", "amount", "placed"}, pgx.CopyFromRows([][]any{{int32(70001), int32(1), 1.5, time.Now()}, {int32(70002), int32(1), 2.5, time.Now()}}))
		check(err)
		same(2, copied)
		inner, err := tx.Begin(ctx)
		check(err)
		_, err = inner.Exec(ctx, "SELECT nothing FROM customers")
		refused("42703", err)
		check(inner.Rollback(ctx))
		tag, err := tx.Exec(ctx, "DELETE FROM orders WHERE id > $1", 70000)
		check(err)
		same("DELETE 2", tag)
		check(tx.Rollback(ctx))
		_, err = pool.Exec(ctx, "INSERT INTO customers (id, full_name) VALUES ($1, 'x')", 1)
		conflict := refused("23505", err)
		same("customers_pkey", conflict.ConstraintName)
		same(masked, strings.Contains(conflict.Detail, "(***)"))
		if masked {
			_, err = pool.Exec(ctx, "SELECT note FROM customers")
			refused("42501", err)
		}
		late, stop := context.WithTimeout(ctx, 200*time.Millisecond)
		_, err = pool.Exec(late, "SELECT count(*) FROM generate_series(1, 100000000000)")
		stop()
		if err == nil {
			panic("not cancelled")
		}
		conn, err := pool.Acquire(ctx)
		check(err)
		_, err = conn.Exec(ctx, "LISTEN parcels")
		check(err)
		_, err = conn.Exec(ctx, "NOTIFY parcels, 'x'")
		check(err)
		heard, err := conn.Conn().WaitForNotification(ctx)
		check(err)
		same(masked, heard.Payload == "")
		_, err = conn.Exec(ctx, "DISCARD ALL")
		check(err)
		conn.Release()
		pool.Close()
	}
}

func withPq() {
	for _, options := range []string{"", "&binary_parameters=yes"} {
		db, err := sql.Open("postgres", dsn+options)
		check(err)
		var tel string
		check(db.QueryRow("SELECT phone FROM customers WHERE id = $1", 7).Scan(&tel))
		same(phone(7), tel)
		statement, err := db.Prepare("SELECT phone FROM customers WHERE id = $1")
		check(err)
		for n := 1; n <= 6; n++ {
			check(statement.QueryRow(n).Scan(&tel))
			same(phone(n), tel)
		}
		check(statement.Close())
		rows, err := db.Query("SELECT phone FROM customers WHERE id = ANY($1) ORDER BY id", pq.Array([]int64{1, 2}))
		check(err)
		for n := 1; rows.Next(); n++ {
			check(rows.Scan(&tel))
			same(phone(n), tel)
		}
		check(rows.Err())
		if options == "" {
			tx, err := db.Begin()
			check(err)
			in, err := tx.Prepare(pq.CopyIn("orders", "id", "customer_id", "amount", "placed"))
			check(err)
			_, err = in.Exec(70101, 1, "1.5", "2025-06-01")
			check(err)
			_, err = in.Exec()
			check(err)
			check(in.Close())
			check(tx.Rollback())
		}
		_, err = db.Exec("SELECT nothing FROM customers")
		var own *pq.Error
		if !errors.As(err, &own) || own.Code != "42703" {
			panic(err)
		}
		check(db.Close())
	}
}

func main() {
	withPgx(context.Background())
	withPq()
	fmt.Println("ok")
}
