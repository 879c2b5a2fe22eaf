// The protocol's own client beside itself: one session with the server, one with the server behind another program. It asks
// both by turns and prints how long each answer took, in microseconds.
//
//   node wrap.mjs ROUNDS DIRECT WRAPPED     both a JSON list: the command and its arguments
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const [rounds, ...commands] = process.argv.slice(2);
const connect = async ([command, ...args]) => {
  const client = new Client({ name: "bench", version: "1" }, { capabilities: {} });
  await client.connect(new StdioClientTransport({ command, args, env: process.env, stderr: "ignore" }));
  return client;
};
const sessions = await Promise.all(commands.map((command) => connect(JSON.parse(command))));
const echo = (bytes) => {
  const message = "x".repeat(bytes);
  return (client) => client.callTool({ name: "echo", arguments: { message } });
};
const questions = {
  ping: { count: Number(rounds), ask: (client) => client.ping() },
  "echo of 1 kB": { count: Number(rounds), ask: echo(1_000) },
  "echo of 100 kB": { count: Math.ceil(Number(rounds) / 10), ask: echo(100_000) },
};
const took = {};
for (const [name, { count, ask }] of Object.entries(questions)) {
  took[name] = sessions.map(() => []);
  // The first ones warm up.
  for (let round = -Math.ceil(count / 10); round < count; round++) {
    // Who goes first changes, too: the second finds the machine awake.
    for (const which of round % 2 ? [0, 1] : [1, 0]) {
      if (which >= sessions.length) continue;
      const began = process.hrtime.bigint();
      await ask(sessions[which]);
      const ended = process.hrtime.bigint();
      if (round >= 0) took[name][which].push(Number(ended - began) / 1_000);
    }
  }
}
await Promise.all(sessions.map((session) => session.close()));
console.log(JSON.stringify(took));
