// A session of the protocol's own client: with each of its servers' abilities once, the asked and the asking ones, small and
// large. Prints what came of it as one JSON object.
//
//   NODE_PATH=… node client.mjs COMMAND ARGS…
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const load = (path) => import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/${path}`)));
const { Client } = await load("client/index.js");
const { StdioClientTransport } = await load("client/stdio.js");
const { CreateMessageRequestSchema } = await load("types.js");

const [command, ...args] = process.argv.slice(2);
const client = new Client({ name: "journey", version: "1" }, { capabilities: { sampling: {}, roots: {} } });
client.setRequestHandler(CreateMessageRequestSchema, async () => {
  return { model: "scripted", role: "assistant", content: { type: "text", text: "an answer" } };
});
const transport = new StdioClientTransport({ command, args, env: process.env, stderr: "inherit" });
await client.connect(transport);

const call = (name, input, options) => client.callTool({ name, arguments: input }, undefined, options);
const { tools } = await client.listTools();
const ask = tools.find((tool) => /sampl/i.test(tool.name) && !/async|task/i.test(tool.name));
const large = "ä\"\\\n".repeat(300_000);
const echoed = await call("echo", { message: large });
for (let n = 0; n < 50; n++) await client.ping();
await Promise.all(Array.from({ length: 20 }, (_, n) => call("echo", { message: `together ${n}` })));
const sampled = await call(ask.name, { prompt: "hello", maxTokens: 10 });
const failed = await call("no-such-tool", {}).then((answer) => answer.isError === true, () => true);
const slow = tools.find((tool) => /long/i.test(tool.name));
const abort = new AbortController();
setTimeout(() => abort.abort("enough"), 300);
const cancelled = await call(slow.name, { duration: 5, steps: 5 }, { signal: abort.signal }).then(() => false, () => true);
await client.ping();
const pid = transport.pid;
await client.close();
console.log(
  JSON.stringify({
    pid,
    server: client.getServerVersion(),
    tools: tools.map((tool) => tool.name),
    echoed: echoed.content[0].text.endsWith(large),
    sampled: JSON.stringify(sampled).includes("an answer"),
    failed,
    cancelled,
    slow: slow.name,
    ask: ask.name,
  }),
);
