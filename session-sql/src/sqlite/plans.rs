//! SQLite's query plans. No statement may read the whole table, or the cost of a batch would grow
//! with the number of stored records.

use sqlx::{AssertSqlSafe, Connection, Row, SqlSafeStr, SqlStr, SqliteConnection};

use super::{schema, statements::Statements};
use crate::{chunk::MAX_ITEMS, table::Table};

async fn plan(connection: &mut SqliteConnection, statement: &SqlStr) -> Vec<String> {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", statement.as_str())).into_sql_str();
    let rows = sqlx::query(explain).fetch_all(connection).await.expect("a plan");
    rows.iter().map(|row| row.get::<String, _>(3)).collect()
}

fn of_keys(statements: &Statements) -> Vec<(String, SqlStr)> {
    let mut all = vec![
        ("rename".to_owned(), statements.rename.clone()),
        ("list_owner".to_owned(), statements.list_owner.clone()),
        ("count_owner".to_owned(), statements.count_owner.clone()),
        ("delete_owner".to_owned(), statements.delete_owner.clone()),
        ("page".to_owned(), statements.page.clone()),
        ("purge".to_owned(), statements.purge.clone()),
        ("postpone".to_owned(), statements.postpone.clone()),
    ];
    for size in [1, 2, 32, MAX_ITEMS] {
        all.extend([
            (format!("read {size}"), statements.read(size)),
            (format!("read_packed {size}"), statements.read_packed(size)),
            (format!("write {size}"), statements.write(size)),
            (format!("renew {size}"), statements.renew(size)),
            (format!("touch {size}"), statements.touch(size)),
            (format!("delete {size}"), statements.delete(size)),
        ]);
    }
    all
}

#[tokio::test]
async fn no_statement_reads_the_whole_table() {
    let table = Table::new("web").expect("a name");
    let statements = Statements::new(&table);
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.expect("a database");
    schema::prepare(&mut connection, &table, &statements, None).await.expect("a table");
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO web (k, v, e, b, o, f, n, d)
        SELECT randomblob(33), randomblob(16), i, i, CASE WHEN i % 2 THEN 'owner' || i END, 1, 9, zeroblob(9) FROM n";
    sqlx::raw_sql(fill).execute(&mut connection).await.expect("sessions");
    for analyzed in [false, true] {
        if analyzed {
            sqlx::raw_sql("ANALYZE").execute(&mut connection).await.expect("statistics");
        }
        for (name, statement) in of_keys(&statements) {
            let plan = plan(&mut connection, &statement).await;
            // The items themselves are read from end to end; they are called `i`, or have no name.
            let whole = |step: &String| {
                step.starts_with("SCAN c") || step.starts_with("SCAN web") || step.contains("AUTOMATIC")
            };
            assert!(!plan.iter().any(whole), "{name}, analyzed: {analyzed}: {plan:#?}");
            assert!(plan.iter().any(|step| step.starts_with("SEARCH")), "{name}: {plan:#?}");
        }
    }
}
