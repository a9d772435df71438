// flights.js PORT CA|- plain|tls|starttls: write at once, print what the server counted before the request came.
"use strict";
const fs = require("node:fs");
const net = require("node:net");
const tls = require("node:tls");

const [portText, ca, mode] = process.argv.slice(2);
const target = { port: Number(portText), host: "127.0.0.1", noDelay: true };

function request(socket) {
  let answer = "";
  socket.write("request\n");
  socket.on("data", (data) => { answer += data; });
  socket.on("end", () => { console.log(answer.trim()); socket.destroy(); });
}

function upgrade() {
  const socket = net.connect(target);
  socket.once("data", () => {
    socket.write("STARTTLS\n");
    socket.once("data", () => {
      socket.removeAllListeners("data");
      request(tls.connect({ socket, host: target.host, ca: fs.readFileSync(ca) }));
    });
  });
}

if (mode === "plain") request(net.connect(target));
else if (mode === "tls") request(tls.connect({ ...target, ca: fs.readFileSync(ca) }));
else upgrade();
