/**
 * The servers whose cost is compared: a stock Egg controller, the same answer as a function, and bare node:http. Each
 * runs in processes of its own for the whole of a benchmark, and is measured in turns with the others.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from '../../scripts/support/child';
import { freePort } from '../../scripts/support/free_port';
import { treeOf } from '../../scripts/support/processes';

export type Method = 'get' | 'post';
export type SubjectName = 'stock' | 'function' | 'bare';

export interface Subject {
  readonly name: SubjectName;
  readonly port: number;
  /** The request of each method as it goes over the wire. */
  readonly requests: Readonly<Record<Method, string>>;
  /** The processes whose CPU time counts: the server with all that it started. */
  pids(): number[];
  close(): Promise<void>;
}

const APPLICATION = join(__dirname, '../../fixtures/bench-app');
const EGG_MASTER = join(__dirname, '../../scripts/support/egg_master.js');
const FORM = { name: 'Ada', items: ['tea', 'cup', 'pot'] };

/** The answer of every subject to every request. */
export const ANSWER = JSON.stringify({ greeting: 'Hello, Ada', items: 3 });

const HEADERS = 'Host: 127.0.0.1\r\nUser-Agent: egg-carton-bench\r\nAccept: application/json\r\n';

const get = (path: string): string => `GET ${path} HTTP/1.1\r\n${HEADERS}\r\n`;

function post(path: string, body: unknown): string {
  const text = JSON.stringify(body);
  return `POST ${path} HTTP/1.1\r\n${HEADERS}Content-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
}

export async function startBare(): Promise<Subject> {
  const child = new Child(join(__dirname, 'bare_server.js'));
  const { port } = (await child.message()) as { port: number };
  return {
    name: 'bare',
    port,
    requests: { get: get('/bare?name=Ada'), post: post('/bare', FORM) },
    pids: () => [child.pid],
    close: () => child.end(),
  };
}

export function startStock(): Promise<Subject> {
  return startEgg('stock', { get: get('/stock?name=Ada'), post: post('/stock', FORM) });
}

export function startFunction(): Promise<Subject> {
  return startEgg('function', { get: get('/fn/greeting?name=Ada'), post: post('/oneapi/greeting.create', [FORM]) });
}

/** The same application both times, one worker; only the plugin makes the difference. */
async function startEgg(name: SubjectName, requests: Subject['requests']): Promise<Subject> {
  const directory = mkdtempSync(join(tmpdir(), `carton-bench-${name}-`));
  const port = await freePort();
  const child = new Child(EGG_MASTER, {
    args: [APPLICATION, String(port), '1'],
    env: {
      NODE_ENV: 'production',
      EGG_SERVER_ENV: 'prod',
      EGG_SERVER_SCOPE: name === 'function' ? 'carton' : '',
      EGG_HOME: directory,
      EGG_APP_CONFIG: JSON.stringify({ rundir: join(directory, 'run') }),
    },
  });
  await child.message();
  const close = async (): Promise<void> => {
    await child.end();
    rmSync(directory, { recursive: true, force: true });
  };
  return { name, port, requests, pids: () => treeOf(child.pid), close };
}
