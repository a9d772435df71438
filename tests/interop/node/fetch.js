// A page with the built-in fetch, or with https where the authority has to be given; prints it.
const https = require("https");
const target = JSON.parse(require("fs").readFileSync(0, "utf8"));
const place = `${target.host}:${target.port}/ahoy`;

if (target.mode === "plain") {
  fetch(`http://${place}`).then(async (response) => console.log(await response.text()));
} else {
  https.get(`https://${place}`, { ca: target.ca_pem }, (response) => response.pipe(process.stdout));
}
