// node-postgres through the pool: named statements, transactions, errors, LISTEN, many clients. Prints one line of JSON.
const { Client, Pool } = require("pg");
const target = { host: "127.0.0.1", port: Number(process.argv[2]), user: "postgres", database: "postgres" };

(async () => {
  const said = {};
  const pool = new Pool({ ...target, max: 8 });
  const named = (n) => pool.query({ name: "double", text: "SELECT $1::int * 2 AS n", values: [n] });
  said.named = (await Promise.all([...Array(50).keys()].map(named))).map((each) => each.rows[0].n).join();
  await pool.query("CREATE TABLE IF NOT EXISTS node_pg (n int)");
  await pool.query("TRUNCATE node_pg");
  const client = await pool.connect();
  await client.query("BEGIN");
  await client.query("INSERT INTO node_pg VALUES ($1)", [1]);
  await client.query("SAVEPOINT s");
  await client.query("SELECT 1/0").catch((error) => (said.error = error.code));
  await client.query("ROLLBACK TO s");
  await client.query("COMMIT");
  client.release();
  said.rows = (await pool.query("SELECT count(*)::int AS n FROM node_pg")).rows[0].n;
  await pool.end();
  const listener = new Client(target);
  await listener.connect();
  const heard = new Promise((done) => listener.on("notification", (message) => done(message.payload)));
  await listener.query("LISTEN node_pg");
  const other = new Client(target);
  await other.connect();
  await other.query("SELECT pg_notify('node_pg', 'hello')");
  said.heard = await heard;
  await Promise.all([listener.end(), other.end()]);
  console.log(JSON.stringify(said));
})();
