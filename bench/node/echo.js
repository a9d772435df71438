// echo.js PORT COUNT: 64-byte round trips over node:net; prints {"seconds": …}.
"use strict";
const net = require("node:net");

const [port, count] = process.argv.slice(2).map(Number);
const message = Buffer.alloc(64);
const warmUp = Math.floor(count / 20);
let trips = 0;
let got = 0;
let start = 0n;

const socket = net.connect({ port, host: "127.0.0.1", noDelay: true }, () => socket.write(message));
socket.on("data", (chunk) => {
  got += chunk.length;
  if (got < message.length) return;
  got = 0;
  trips += 1;
  if (trips === warmUp) start = process.hrtime.bigint();
  if (trips === warmUp + count) {
    console.log(JSON.stringify({ seconds: Number(process.hrtime.bigint() - start) / 1e9 }));
    socket.destroy();
  } else {
    socket.write(message);
  }
});
