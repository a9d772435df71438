// bulk.js in|out PORT BYTES [CA]: one transfer over node:net or node:tls; prints {"seconds": …, "cpu_seconds": …}.
"use strict";
const fs = require("node:fs");
const net = require("node:net");
const tls = require("node:tls");
const clock = require("./clock");

const [direction, portText, bytesText, ca] = process.argv.slice(2);
const port = Number(portText);
const bytes = Number(bytesText);
const chunk = Buffer.alloc(256 * 1024, "x");

function finish() {
  clock.print();
  socket.destroy();
}

function receive() {
  clock.start();
  let total = 0;
  socket.on("data", (data) => { total += data.length; });
  socket.on("end", () => {
    if (total !== bytes) throw new Error(`expected ${bytes} bytes, got ${total}`);
    finish();
  });
  socket.write("g");
}

function send() {
  clock.start();
  let left = bytes;
  const pump = () => {
    while (left > 0) {
      const size = Math.min(left, chunk.length);
      left -= size;
      if (!socket.write(size === chunk.length ? chunk : chunk.subarray(0, size))) {
        socket.once("drain", pump);
        return;
      }
    }
  };
  socket.once("data", () => finish());
  pump();
}

const begin = direction === "in" ? receive : send;
const options = { port, host: "127.0.0.1", noDelay: true };
const socket = ca
  ? tls.connect({ ...options, ca: fs.readFileSync(ca) }, begin)
  : net.connect(options, begin);
