// dial.js PORT COUNT: connect, read the byte and the end, close; COUNT times; prints {"seconds": …, "cpu_seconds": …}.
"use strict";
const net = require("node:net");
const clock = require("./clock");

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
  clock.start();
  for (let i = 0; i < count; i += 1) await dial();
  clock.print();
}

main();
