// A value set and read with redis; prints it.
const { createClient } = require("redis");
const target = JSON.parse(require("fs").readFileSync(0, "utf8"));

(async () => {
  const socket = { host: target.host, port: target.port };
  const tls = target.mode === "plain" ? {} : { tls: true, ca: target.ca_pem };
  const client = createClient({ socket: { ...socket, ...tls } });
  await client.connect();
  await client.set("interop:node", "ahoy", { EX: 60 });
  console.log(await client.get("interop:node"));
  await client.close();
})();
