// xmpp.js. See task.py for what a client is asked to do.
import readline from "node:readline";
import { client, xml } from "@xmpp/client";

const [port, resource, mode = "serve", number = "1", option = ""] = process.argv.slice(2);
const DOMAIN = "bench.example";
const CONTROL = `control@${DOMAIN}`;
const TURN = 64;
const IN_FLIGHT = 100;
const overWebSocket = option === "websocket";
if (overWebSocket) globalThis.WebSocket = (await import("ws")).WebSocket;

function make(name) {
  const xmpp = client({
    service: `${overWebSocket ? "ws" : "xmpp"}://127.0.0.1:${port}`,
    domain: DOMAIN,
    resource: name,
    username: "bench",
    password: "secret",
  });
  if (!option || overWebSocket) xmpp.reconnect.stop();
  xmpp.on("error", (error) => console.error(error));
  return xmpp;
}

async function start(name) {
  const xmpp = make(name);
  const online = new Promise((resolve) => xmpp.once("online", resolve));
  await xmpp.start();
  await online;
  await xmpp.send(xml("presence"));
  return xmpp;
}

class Worker {
  count = 0;
  seen = null;

  constructor(xmpp) {
    this.xmpp = xmpp;
    xmpp.on("stanza", (stanza) => this.take(stanza));
  }

  take(stanza) {
    if (stanza.name === "iq") return;
    this.count++;
    const { from, type, id } = stanza.attrs;
    if (stanza.name === "presence") {
      this.seen = [from, type, stanza.getChildText("show")];
      return;
    }
    const body = stanza.getChildText("body");
    this.seen = [from, type, id];
    if (body && body[0] === "!") this.command(body.slice(1).split(" "));
  }

  command([word, argument]) {
    if (word === "end") this.done(String(this.count - 1));
    else this[word](Number(argument));
    this.count = 0;
  }

  done(text) {
    this.xmpp.send(message(CONTROL, `done ${text}`));
  }

  async out(count) {
    for (let index = 0; index < count; index++) {
      const text = `message ${index}: but soft, what light through yonder window breaks`;
      const sent = this.xmpp.send(message(`montague${index % 20}@${DOMAIN}/street`, text));
      if (index % TURN === 0) await sent;
    }
    this.done("");
  }

  request() {
    return this.xmpp.iqCaller.request(xml("iq", { type: "get", to: DOMAIN }, xml("ping", "urn:xmpp:ping")));
  }

  async ping(count) {
    const times = [];
    for (let index = 0; index < count; index++) {
      const begun = performance.now();
      await this.request();
      times.push(performance.now() - begun);
    }
    times.sort((a, b) => a - b);
    const at = (share) => (times[Math.floor(times.length * share)] * 1000).toFixed(1);
    this.done(`${at(0.5)} ${at(0.99)}`);
  }

  async flood(count) {
    const oneAfterTheOther = async () => {
      for (let index = 0; index < count / IN_FLIGHT; index++) await this.request();
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, oneAfterTheOther));
    this.done("");
  }
}

function message(to, text) {
  return xml("message", { type: "chat", to }, xml("body", {}, text));
}

console.log("up");
const input = readline.createInterface({ input: process.stdin });
await new Promise((resolve) => input.once("line", resolve));
if (mode === "connect") {
  for (let index = 0; index < Number(number); index++) {
    const xmpp = await start(resource);
    await xmpp.stop();
  }
} else if (mode === "idle") {
  globalThis.kept = [];
  for (let index = 0; index < Number(number); index++) globalThis.kept.push(await start(`${resource}.${index}`));
} else {
  const xmpp = make(resource);
  new Worker(xmpp);
  xmpp.once("online", () => xmpp.send(xml("presence")));
  await xmpp.start();
}
