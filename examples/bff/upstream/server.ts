/**
 * The upstream stub: one small HTTP server that stands for the services behind
 * this BFF (catalog, prices, stock, users, recommendations, content, orders).
 * It listens on loopback only and keeps its state in memory.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Faults } from './faults';
import { makeRoutes, type StubRoute } from './routes';
import { Refusal, Store } from './store';

export interface Upstream {
  /** Base URL without a trailing slash, as in `http://127.0.0.1:7400`. */
  url: string;
  close(): Promise<void>;
}

export interface UpstreamOptions {
  /** Port to listen on; `0` takes a free one. @default 0 */
  port?: number;
}

const LOOPBACK = '127.0.0.1';
const BODY_LIMIT_BYTES = 64 * 1024;

export async function startUpstream(options: UpstreamOptions = {}): Promise<Upstream> {
  const faults = new Faults();
  const routes = makeRoutes(new Store(), faults);
  const server = createServer((req, res) => {
    answer(req, routes, faults).then(
      body => send(res, 200, body),
      (err: unknown) => {
        const message = err instanceof Error ? err.message : String(err);
        send(res, err instanceof Refusal ? err.status : 500, { message });
      },
    );
  });
  server.listen(options.port ?? 0, LOOPBACK);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://${LOOPBACK}:${port}`, close: () => close(server) };
}

async function answer(req: IncomingMessage, routes: StubRoute[], faults: Faults): Promise<unknown> {
  const url = new URL(req.url ?? '/', `http://${LOOPBACK}`);
  const fault = faults.get(url.pathname.split('/')[1] ?? '');
  if (fault && fault.delayMs > 0) await sleep(fault.delayMs);
  if (fault && fault.status > 0) throw new Refusal(fault.status, 'a fault was asked for');
  const body = await readJson(req);
  for (const route of routes) {
    const match = route.method === req.method ? route.pattern.exec(url.pathname) : null;
    if (match) return route.answer({ params: decodeParams(match.groups), query: url.searchParams, body });
  }
  throw new Refusal(404, `no route for ${req.method} ${url.pathname}`);
}

async function readJson(req: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_LIMIT_BYTES) throw new Refusal(413, `expected at most ${BODY_LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) as unknown : undefined;
}

function decodeParams(groups: Record<string, string> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]));
}

function send(res: ServerResponse, status: number, body: unknown): void {
  const payload = JSON.stringify(body ?? null);
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) });
  res.end(payload);
}

/** Callers keep connections alive, so closing waits for none of them. */
async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
