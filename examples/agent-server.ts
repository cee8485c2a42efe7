/** The whole service inside a program, and one question over a WebSocket. */
import { AgentServer } from 'paf-core-agent';

const server = new AgentServer({ port: 0, host: '127.0.0.1' });
await server.start();

const socket = new WebSocket(server.url.replace('http', 'ws'));
socket.onopen = () => socket.send(JSON.stringify({ type: 'query', prompt: 'Say hello in one sentence.' }));
await new Promise<void>((resolve, reject) => {
  socket.onerror = () => reject(new Error('The socket broke.'));
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === 'chunk') process.stdout.write(message.content);
    if (message.type === 'error') reject(new Error(message.error));
    if (message.type === 'complete') resolve();
  };
});
console.log();
socket.close();
await server.stop();
