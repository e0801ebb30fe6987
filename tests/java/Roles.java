// The JDBC driver through pgscrim: metadata, batches, portals, server-side statements with binary results, savepoints, COPY.
//
// Environment: PROXY_PORT, ROLE (support: restricted, owner: exempt). Ends with `ok`.

import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.PGStatement;
import org.postgresql.util.PSQLException;

public class Roles {
    static final String PORT = System.getenv("PROXY_PORT");
    static final String ROLE = System.getenv("ROLE");
    static final boolean MASKED = ROLE.equals("support");

    static String name(int n) { return MASKED ? "N*** K***" : "Nguyen Thi Minh Khai" + n; }
    static String phone(int n) { return (MASKED ? "*****" : "0901234") + String.format("%03d", n); }

    static void same(Object expected, Object got) {
        if (!Objects.equals(expected, got)) throw new AssertionError("expected " + expected + ", got " + got);
    }

    interface Call { void run() throws SQLException; }

    static PSQLException refused(String code, Call call) throws SQLException {
        try {
            call.run();
        } catch (PSQLException error) {
            same(code, error.getSQLState());
            if (code.equals("42501")) same(true, error.getServerErrorMessage().getHint().startsWith("PGS"));
            return error;
        } catch (BatchUpdateException error) {
            same(code, error.getSQLState());
            return null;
        }
        throw new AssertionError("not refused: " + code);
    }

    static Connection connect(String options) throws SQLException {
        return DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + PORT + "/shop?user=" + ROLE + "&sslmode=disable" + options);
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> found = new ArrayList<>();
        try (rows) {
            while (rows.next()) found.add(rows.getString(name));
        }
        return found;
    }

    static void values(Connection db) throws SQLException {
        // From the fifth execution on the statement is kept on the server and results are binary.
        try (PreparedStatement statement = db.prepareStatement("SELECT id, full_name, phone, email, born, score, prefs, created FROM customers WHERE id = ?")) {
            for (int n = 1; n <= 12; n++) {
                statement.setInt(1, n);
                try (ResultSet row = statement.executeQuery()) {
                    same(true, row.next());
                    same(n, row.getInt("id"));
                    same(name(n), row.getString("full_name"));
                    same(phone(n), row.getString("phone"));
                    same(MASKED ? null : "khai" + n + "@gmail.com", row.getString("email"));
                    same(n * 7, row.getInt("score"));
                    same("{\"lang\": \"vi\"}", row.getString("prefs"));
                    same(1735787045000L, row.getTimestamp("created").getTime());
                    ResultSetMetaData meta = row.getMetaData();
                    same(Types.VARCHAR, meta.getColumnType(3));
                    same(20, meta.getPrecision(3));
                }
                if (n > 8) same(true, statement.unwrap(PGStatement.class).isUseServerPrepare());
            }
        }
        try (PreparedStatement statement = db.prepareStatement("SELECT ?::int[], ?::uuid, ?::jsonb, ?::bytea, ?::date, ?::numeric, ?::text")) {
            statement.setArray(1, db.createArrayOf("int4", new Object[] {1, null, 3}));
            UUID key = UUID.randomUUID();
            statement.setObject(2, key);
            statement.setString(3, "{\"a\": \"it's\"}");
            statement.setBytes(4, new byte[] {0, -1});
            statement.setObject(5, java.time.LocalDate.of(2025, 6, 1));
            statement.setBigDecimal(6, new BigDecimal("1.50"));
            statement.setNull(7, Types.VARCHAR);
            for (int n = 0; n < 8; n++) {
                try (ResultSet row = statement.executeQuery()) {
                    row.next();
                    same(List.of(1, 3), Arrays.asList(((Integer[]) row.getArray(1).getArray())[0], ((Integer[]) row.getArray(1).getArray())[2]));
                    same(key, row.getObject(2));
                    same(2, row.getBytes(4).length);
                    same(java.time.LocalDate.of(2025, 6, 1), row.getObject(5, java.time.LocalDate.class));
                    same(new BigDecimal("1.50"), row.getBigDecimal(6));
                    same(null, row.getString(7));
                }
            }
        }
    }

    static void portals(Connection db) throws SQLException {
        db.setAutoCommit(false);
        try (PreparedStatement statement = db.prepareStatement("SELECT id, phone FROM customers ORDER BY id")) {
            statement.setFetchSize(7);
            List<String> phones = column(statement.executeQuery(), "phone");
            same(50, phones.size());
            same(phone(50), phones.get(49));
        }
        try (Statement statement = db.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY);
                ResultSet rows = statement.executeQuery("SELECT phone FROM customers ORDER BY id")) {
            rows.absolute(10);
            same(phone(10), rows.getString(1));
            rows.last();
            same(50, rows.getRow());
        }
        db.commit();
        db.setAutoCommit(true);
    }

    static void writes(Connection db) throws SQLException {
        db.setAutoCommit(false);
        try (PreparedStatement insert = db.prepareStatement("INSERT INTO orders VALUES (?, 1, ?, date '2025-06-01')", Statement.RETURN_GENERATED_KEYS)) {
            for (int n = 1; n <= 300; n++) {
                insert.setInt(1, 69000 + n);
                insert.setBigDecimal(2, BigDecimal.ONE);
                insert.addBatch();
            }
            same(300, insert.executeBatch().length);
            same(300, column(insert.getGeneratedKeys(), "id").size());
        }
        try (PreparedStatement insert = db.prepareStatement("INSERT INTO customers (id, full_name, phone) VALUES (?, ?, ?)", new String[] {"id", "phone"})) {
            insert.setInt(1, 9003);
            insert.setString(2, "Tran Van B");
            insert.setString(3, "0911222333");
            same(1, insert.executeUpdate());
            same(List.of(MASKED ? "*****333" : "0911222333"), column(insert.getGeneratedKeys(), "phone"));
        }
        Savepoint point = db.setSavepoint("here");
        try (Statement statement = db.createStatement()) {
            refused("22012", () -> statement.execute("SELECT 1/0"));
            db.rollback(point);
            same(300, statement.executeUpdate("DELETE FROM orders WHERE id > 69000"));
            refused("23505", () -> {
                statement.addBatch("UPDATE orders SET amount = amount WHERE id = 1");
                statement.addBatch("INSERT INTO customers (id, full_name) VALUES (1, 'x')");
                statement.executeBatch();
            });
        }
        db.rollback();
        db.setAutoCommit(true);
        // An updatable result set reads the primary key from the catalogs and writes the row back.
        try (Statement statement = db.createStatement(ResultSet.TYPE_SCROLL_SENSITIVE, ResultSet.CONCUR_UPDATABLE);
                ResultSet row = statement.executeQuery("SELECT id, phone, score FROM customers WHERE id = 9")) {
            row.next();
            row.updateInt("score", 64);
            // A masked column is an expression to the driver, which finds no column to write it to.
            if (!MASKED) row.updateString("phone", row.getString("phone"));
            row.updateRow();
            row.updateInt("score", 63);
            row.updateRow();
        }
        try (Statement statement = db.createStatement(); ResultSet rows = statement.executeQuery("SELECT id FROM customers WHERE phone = '0901234009'")) {
            same(List.of("9"), column(rows, "id"));
        }
    }

    static void errors(Connection db) throws SQLException {
        try (Statement statement = db.createStatement()) {
            refused("42703", () -> statement.executeQuery("SELECT nothing FROM customers"));
            PSQLException conflict = refused("23505", () -> statement.execute("INSERT INTO customers (id, full_name) VALUES (1, 'x')"));
            same("customers_pkey", conflict.getServerErrorMessage().getConstraint());
            same(MASKED, conflict.getServerErrorMessage().getDetail().contains("(***)"));
            if (MASKED) refused("42501", () -> statement.executeQuery("SELECT note FROM customers"));
            statement.setQueryTimeout(1);
            refused("57014", () -> statement.executeQuery("SELECT count(*) FROM generate_series(1, 100000000000)"));
        }
        // The driver rolls back to a savepoint of its own, so that the transaction goes on.
        try (Connection saving = connect("&autosave=always")) {
            saving.setAutoCommit(false);
            try (Statement statement = saving.createStatement()) {
                statement.executeQuery("SELECT 1");
                refused("42703", () -> statement.executeQuery("SELECT nothing FROM customers"));
                if (MASKED) refused("42501", () -> statement.executeQuery("SELECT note FROM customers"));
                same(List.of(phone(1)), column(statement.executeQuery("SELECT phone FROM customers WHERE id = 1"), "phone"));
            }
            saving.commit();
        }
    }

    static void metadata(Connection db) throws SQLException {
        DatabaseMetaData meta = db.getMetaData();
        same(true, column(meta.getTables(null, "public", "%", new String[] {"TABLE", "VIEW"}), "TABLE_NAME").containsAll(List.of("customers", "orders", "customer_phones")));
        same(true, column(meta.getColumns(null, "public", "customers", "%"), "COLUMN_NAME").contains("phone"));
        same(List.of("id"), column(meta.getPrimaryKeys(null, "public", "customers"), "COLUMN_NAME"));
        same(List.of("customer_id"), column(meta.getImportedKeys(null, "public", "orders"), "FKCOLUMN_NAME"));
        same(List.of("orders"), column(meta.getExportedKeys(null, "public", "customers"), "FKTABLE_NAME"));
        same(List.of("customers"), column(meta.getCrossReference(null, "public", "customers", null, "public", "orders"), "PKTABLE_NAME"));
        same(2, column(meta.getIndexInfo(null, "public", "customers", false, true), "INDEX_NAME").size());
        same(true, column(meta.getSchemas(), "TABLE_SCHEM").contains("public"));
        column(meta.getCatalogs(), "TABLE_CAT");
        column(meta.getTableTypes(), "TABLE_TYPE");
        column(meta.getTypeInfo(), "TYPE_NAME");
        column(meta.getProcedures(null, "public", "%"), "PROCEDURE_NAME");
        column(meta.getFunctions(null, "pg_catalog", "upper"), "FUNCTION_NAME");
        column(meta.getFunctionColumns(null, "pg_catalog", "upper", "%"), "COLUMN_NAME");
        column(meta.getTablePrivileges(null, "public", "customers"), "GRANTEE");
        column(meta.getColumnPrivileges(null, "public", "customers", "phone"), "GRANTEE");
        column(meta.getBestRowIdentifier(null, "public", "customers", DatabaseMetaData.bestRowSession, false), "COLUMN_NAME");
        column(meta.getVersionColumns(null, "public", "customers"), "COLUMN_NAME");
        column(meta.getUDTs(null, "public", "%", null), "TYPE_NAME");
        column(meta.getClientInfoProperties(), "NAME");
        same(true, meta.getSQLKeywords().length() > 10);
        same(63, meta.getMaxColumnNameLength());
        same(15, meta.getDatabaseMajorVersion() >= 14 ? 15 : 0);
        same(true, meta.getDefaultTransactionIsolation() == Connection.TRANSACTION_READ_COMMITTED);
        boolean simple = db.unwrap(PGConnection.class).getPreferQueryMode() == org.postgresql.jdbc.PreferQueryMode.SIMPLE;
        // A prepared statement of the simple mode cannot be described.
        if (!simple) try (PreparedStatement statement = db.prepareStatement("SELECT phone, amount FROM customers JOIN orders ON customer_id = customers.id WHERE customers.id = ?")) {
            ResultSetMetaData columns = statement.getMetaData();
            same("numeric", columns.getColumnTypeName(2));
            same(12, columns.getPrecision(2));
            same("orders", columns.getTableName(2).isEmpty() ? "orders" : columns.getTableName(2));
            same(Types.INTEGER, statement.getParameterMetaData().getParameterType(1));
            columns.isNullable(2);
            columns.isAutoIncrement(2);
        }
        db.setSchema("public");
        same("public", db.getSchema());
        db.setClientInfo("ApplicationName", "shop");
        same(true, db.isValid(5));
        db.setReadOnly(true);
        same(true, db.isReadOnly());
        db.setReadOnly(false);
        db.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        same(Connection.TRANSACTION_SERIALIZABLE, db.getTransactionIsolation());
        db.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
    }

    static void copies(Connection db) throws Exception {
        var copies = db.unwrap(PGConnection.class).getCopyAPI();
        StringWriter out = new StringWriter();
        same(2L, copies.copyOut("COPY (SELECT id, phone FROM customers ORDER BY id LIMIT 2) TO STDOUT", out));
        same("1\t" + phone(1) + "\n2\t" + phone(2) + "\n", out.toString());
        same(1L, copies.copyIn("COPY orders FROM STDIN", new StringReader("69500\t1\t2.5\t2025-06-01\n")));
        try (Statement statement = db.createStatement()) {
            same(1, statement.executeUpdate("DELETE FROM orders WHERE id = 69500"));
            statement.execute("LISTEN parcels");
            statement.execute("NOTIFY parcels, 'x'");
            same(MASKED ? "" : "x", db.unwrap(PGConnection.class).getNotifications(5000)[0].getParameter());
            boolean simple = db.unwrap(PGConnection.class).getPreferQueryMode() == org.postgresql.jdbc.PreferQueryMode.SIMPLE;
            if (!simple) try (CallableStatement call = db.prepareCall("{ ? = call upper(?) }")) {
                call.registerOutParameter(1, Types.VARCHAR);
                call.setString(2, "x");
                call.execute();
                same("X", call.getString(1));
            }
            same(List.of("1", "2"), column(statement.executeQuery("SELECT {fn lcase('A')} AS a, id FROM orders WHERE id <= 2 ORDER BY {fn abs(id)}"), "id"));
        }
    }

    public static void main(String[] arguments) throws Exception {
        for (String options : List.of("", "&preferQueryMode=simple", "&prepareThreshold=1&reWriteBatchedInserts=true&binaryTransfer=true&currentSchema=public&ApplicationName=shop&defaultRowFetchSize=10", "&preferQueryMode=extendedForPrepared&stringtype=unspecified&assumeMinServerVersion=14")) {
            try (Connection db = connect(options)) {
                try {
                    if (options.isEmpty() || options.contains("prepareThreshold=1")) values(db);
                    portals(db);
                    if (options.isEmpty()) writes(db);
                    errors(db);
                    metadata(db);
                    copies(db);
                } catch (SQLException | AssertionError error) {
                    throw new AssertionError(options, error);
                }
            }
        }
        System.out.println("ok");
    }
}
