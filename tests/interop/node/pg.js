// One query through a pool of pg; prints the sum and whether the connection was encrypted.
const { Pool } = require("pg");
const target = JSON.parse(require("fs").readFileSync(0, "utf8"));

const question = `SELECT sum(n) AS total, (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS ssl
                  FROM generate_series(1, 1000) AS n`;

(async () => {
  const pool = new Pool({
    host: target.host,
    port: target.port,
    user: "postgres",
    database: "postgres",
    ssl: target.mode === "plain" ? false : { ca: target.ca_pem },
  });
  const { rows } = await pool.query(question);
  console.log(rows[0].total, rows[0].ssl);
  await pool.end();
})();
