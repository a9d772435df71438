// echo.js PORT COUNT: 64-byte round trips over node:net; prints {"seconds": …, "cpu_seconds": …}.
"use strict";
const net = require("node:net");
const clock = require("./clock");

const [port, count] = process.argv.slice(2).map(Number);
const message = Buffer.alloc(64);
const warmUp = Math.floor(count / 20);
let trips = 0;
let got = 0;

const socket = net.connect({ port, host: "127.0.0.1", noDelay: true }, () => socket.write(message));
socket.on("data", (chunk) => {
  got += chunk.length;
  if (got < message.length) return;
  got = 0;
  trips += 1;
  if (trips === warmUp) clock.start();
  if (trips === warmUp + count) {
    clock.print();
    socket.destroy();
  } else {
    socket.write(message);
  }
});
