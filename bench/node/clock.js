// The clock of the other files: start() when the work begins, print() when it is done.
"use strict";

let wall = 0n;
let cpu = null;

exports.start = () => {
  cpu = process.cpuUsage();
  wall = process.hrtime.bigint();
};

exports.print = () => {
  const seconds = Number(process.hrtime.bigint() - wall) / 1e9;
  const used = process.cpuUsage(cpu);
  console.log(JSON.stringify({ seconds, cpu_seconds: (used.user + used.system) / 1e6 }));
};
