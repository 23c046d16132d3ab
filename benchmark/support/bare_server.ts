/**
 * A bare node:http server that gives the answers of fixtures/bench-app: the least that an answer can cost in Node.
 * Run as a child process; it tells its port.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface GreetingForm {
  readonly name: string;
  readonly items: readonly unknown[];
}

function answer(response: ServerResponse, value: object): void {
  // A string leaves in one write with the head; a Buffer would cost a microsecond more.
  const body = JSON.stringify(value);
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function show(request: IncomingMessage, response: ServerResponse): void {
  const url = request.url ?? '';
  const name = new URLSearchParams(url.slice(url.indexOf('?') + 1)).get('name');
  answer(response, { greeting: `Hello, ${name}`, items: 3 });
}

function create(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { name, items } = JSON.parse(Buffer.concat(chunks).toString()) as GreetingForm;
    answer(response, { greeting: `Hello, ${name}`, items: items.length });
  });
}

const server = createServer((request, response) => (request.method === 'POST' ? create : show)(request, response));
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit());
