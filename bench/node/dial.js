// dial.js PORT COUNT: connect, read the byte and the end, close; COUNT times; prints {"seconds": …}.
"use strict";
const net = require("node:net");

const [port, count] = process.argv.slice(2).map(Number);

function dial() {
  return new Promise((resolve, reject) => {
    let got = 0;
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
    socket.on("data", (data) => { got += data.length; });
    socket.on("error", reject);
    socket.on("close", () => (got === 1 ? resolve() : reject(new Error(`got ${got} bytes`))));
  });
}

async function main() {
  for (let i = 0; i < Math.floor(count / 20); i += 1) await dial();
  const start = process.hrtime.bigint();
  for (let i = 0; i < count; i += 1) await dial();
  console.log(JSON.stringify({ seconds: Number(process.hrtime.bigint() - start) / 1e9 }));
}

main();
