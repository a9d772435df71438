// One query with mysql2; prints the product and whether the connection was encrypted.
const mysql = require("mysql2/promise");
const target = JSON.parse(require("fs").readFileSync(0, "utf8"));

const question = `SELECT 6 * 7 AS product, VARIABLE_VALUE <> '' AS encrypted
                  FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'SSL_CIPHER'`;

(async () => {
  const connection = await mysql.createConnection({
    host: target.host,
    port: target.port,
    user: target.facts.user,
    password: target.facts.password,
    database: target.facts.database,
    ssl: target.mode === "plain" ? undefined : { ca: target.ca_pem, verifyIdentity: true },
  });
  const [rows] = await connection.execute(question);
  console.log(rows[0].product, rows[0].encrypted);
  await connection.end();
})();
