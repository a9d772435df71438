// postgres.js through the pool: pipelining, transactions, COPY, cancel, LISTEN. Prints one line of JSON.
const postgres = require("postgres");
const options = { host: "127.0.0.1", port: Number(process.argv[2]), user: "postgres", database: "postgres" };

(async () => {
  const said = {};
  const sql = postgres({ ...options, max: 4, onnotice: () => {} });
  said.pipelined = (await Promise.all([...Array(50).keys()].map((n) => sql`SELECT ${n}::int * 2 AS n`))).map((rows) => rows[0].n).join();
  await sql`CREATE TABLE IF NOT EXISTS node_postgres (n int, t text)`;
  await sql`TRUNCATE node_postgres`;
  await sql.begin(async (sql) => {
    await sql`INSERT INTO node_postgres ${sql([{ n: 1, t: "a" }, { n: 2, t: "b" }])}`;
    await sql.savepoint((sql) => sql`SELECT 1/0`).catch((error) => (said.error = error.code));
  });
  const stream = await sql`COPY node_postgres FROM STDIN`.writable();
  await new Promise((done, fail) => {
    stream.on("error", fail).on("finish", done);
    stream.write("3\tc\n");
    stream.end("4\td\n");
  });
  said.rows = (await sql`SELECT count(*)::int AS n FROM node_postgres`)[0].n;
  const slow = sql`SELECT pg_sleep(60)`;
  slow.execute();
  const cancel = setInterval(() => slow.cancel(), 100);
  await slow.catch((error) => (said.cancelled = error.code));
  clearInterval(cancel);
  let hear;
  const heard = new Promise((done) => (hear = done));
  await sql.listen("node_postgres", hear);
  await sql.notify("node_postgres", "hello");
  said.heard = await heard;
  await sql.end();
  const simple = postgres({ ...options, prepare: false, max: 1 });
  said.unprepared = (await simple`SELECT ${"x"}::text AS t`)[0].t;
  await simple.end();
  console.log(JSON.stringify(said));
})();
