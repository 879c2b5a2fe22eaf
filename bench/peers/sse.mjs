// A server of server-sent events as people write it with Node alone: `GET /v1/events?channel=NAME` streams,
// `POST /v1/events` takes lines of JSON and sends each to those who read its channel. Started by the benchmarks as
// `node sse.mjs PORT`.

import { createServer } from 'node:http';

const channels = new Map();

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    const names = new URL(request.url, 'http://127.0.0.1').searchParams.getAll('channel');
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.flushHeaders();
    for (const name of names) {
      if (!channels.has(name)) channels.set(name, new Set());
      channels.get(name).add(response);
    }
    response.on('close', () => names.forEach((name) => channels.get(name).delete(response)));
    return;
  }
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    for (const line of Buffer.concat(parts).toString().split('\n')) {
      if (line === '') continue;
      const record = `data: ${line}\n\n`;
      for (const reader of channels.get(JSON.parse(line).channel) ?? []) reader.write(record);
    }
    response.writeHead(202, { 'content-length': 2, 'content-type': 'application/json' });
    response.end('{}');
  });
});
server.listen({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096 });
