# The pg gem through pgscrim.
#
# Environment: PROXY_PORT, ROLE (support: restricted, owner: exempt). Ends with `ok`.

require 'pg'

MASKED = ENV['ROLE'] == 'support'
def phone(number) = format(MASKED ? '*****%03d' : '0901234%03d', number)

def same(expected, got)
  raise "expected #{expected.inspect}, got #{got.inspect}" unless expected == got
end

def refused(code)
  yield
rescue PG::Error => e
  same(code, e.result&.error_field(PG::Result::PG_DIAG_SQLSTATE))
  e
else
  raise "not refused: #{code}"
end

db = PG.connect(host: '127.0.0.1', port: ENV['PROXY_PORT'], dbname: 'shop', user: ENV['ROLE'])
row = db.exec_params('SELECT id, full_name, phone, email FROM customers WHERE id = $1', [7])
same([['7', MASKED ? 'N*** K***' : 'Nguyen Thi Minh Khai7', phone(7), MASKED ? nil : 'khai7@gmail.com']], row.values)
same([23, 25, 1043, 25], (0..3).map { |n| row.ftype(n) })
same(24, row.fmod(2))
db.type_map_for_results = PG::BasicTypeMapForResults.new(db)
db.type_map_for_queries = PG::BasicTypeMapForQueries.new(db)
typed = db.exec_params('SELECT id, amount, placed FROM orders WHERE id = $1', [3]).first
same([3, BigDecimal('31.5'), Date.new(2025, 6, 4)], typed.values)
db.prepare('by-id', 'SELECT phone FROM customers WHERE id = $1')
8.times { |n| same(phone(n + 1), db.exec_prepared('by-id', [n + 1]).getvalue(0, 0)) }
same('by-id', db.exec('SELECT name FROM pg_prepared_statements').getvalue(0, 0))
db.transaction do
  db.exec('DECLARE c CURSOR FOR SELECT phone FROM customers ORDER BY id')
  same([phone(1), phone(2)], db.exec('FETCH 2 FROM c').column_values(0))
end
db.send_query('SELECT id, phone FROM customers ORDER BY id')
db.set_single_row_mode
seen = []
while (result = db.get_result)
  result.stream_each { |r| seen << r['phone'] }
end
same((1..50).map { |n| phone(n) }, seen)
db.enter_pipeline_mode
(1..5).each { |n| db.send_query_params('SELECT phone FROM customers WHERE id = $1', [n]) }
db.pipeline_sync
got = []
loop do
  result = db.get_result
  next if result.nil?
  break if result.result_status == PG::PGRES_PIPELINE_SYNC

  result.check
  got << result.getvalue(0, 0) if result.ntuples.positive?
end
db.exit_pipeline_mode
same((1..5).map { |n| phone(n) }, got)
out = +''
db.copy_data('COPY (SELECT id, phone FROM customers ORDER BY id LIMIT 1) TO STDOUT') { out << db.get_copy_data && db.get_copy_data }
same("1\t#{phone(1)}\n", out)
db.copy_data('COPY orders FROM STDIN') { db.put_copy_data("69600\t1\t2.5\t2025-06-01\n") }
same(1, db.exec('DELETE FROM orders WHERE id = 69600').cmd_tuples)
refused('42703') { db.exec('SELECT nothing FROM customers') }
conflict = refused('23505') { db.exec("INSERT INTO customers (id, full_name) VALUES (1, 'x')") }
same(MASKED, conflict.result.error_field(PG::Result::PG_DIAG_MESSAGE_DETAIL).include?("(***)"))
refused('42501') { db.exec('SELECT note FROM customers') } if MASKED
db.exec("LISTEN parcels; NOTIFY parcels, 'x'")
db.wait_for_notify(10) { |_, _, payload| same(MASKED ? '' : 'x', payload.to_s) } || raise('no notification')
same('UTF8', db.get_client_encoding)
puts 'ok'
