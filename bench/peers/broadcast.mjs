// A broadcast server as people write it with `ws`: `S channel` subscribes and is answered by `OK`, `P channel text` sends
// the text to everyone who has. Started by the benchmarks as `node broadcast.mjs PORT`.

import { WebSocketServer } from 'ws';

const channels = new Map();
// Its own compression is off by default; it stays so.
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096 });

server.on('connection', (socket) => {
  const mine = [];
  socket.on('message', (message) => {
    const text = message.toString();
    if (text.startsWith('S ')) {
      const name = text.slice(2);
      if (!channels.has(name)) channels.set(name, new Set());
      channels.get(name).add(socket);
      mine.push(name);
      socket.send('OK');
    } else if (text.startsWith('P ')) {
      const end = text.indexOf(' ', 2);
      const payload = text.slice(end + 1);
      for (const reader of channels.get(text.slice(2, end)) ?? []) reader.send(payload);
    }
  });
  socket.on('close', () => mine.forEach((name) => channels.get(name).delete(socket)));
  socket.on('error', () => socket.terminate());
});
