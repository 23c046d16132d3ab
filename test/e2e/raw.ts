/**
 * Requests byte by byte, for what an HTTP client would not send.
 */
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';

/** Sends `text` and resolves with all that came until the connection closed. */
export async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(text);
  await once(socket, 'close');
  return Buffer.concat(chunks).toString('utf8');
}

/** Opens a connection and sends the head of a OneAPI request, and `body` of the `length` bytes that it announces. */
export async function begin(port: number, name: string, body: string, length = Buffer.byteLength(body)): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(`POST /oneapi/${name} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n${body}`);
  return socket;
}
