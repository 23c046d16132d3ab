/**
 * Requests to a server on this machine, with the moments at which their answers came.
 */
import { request as httpRequest, type Agent, type IncomingMessage } from 'node:http';
import { once } from 'node:events';

export interface Ask {
  readonly port: number;
  readonly path: string;
  /** A value to post as JSON; without it the request is a GET. */
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Keeps connections. Without it each request opens its own. */
  readonly agent?: Agent;
  /** Called with each piece of the answer's body as it comes. */
  readonly onData?: (text: string) => void;
}

export interface Reply {
  readonly status: number;
  readonly body: string;
  /** Milliseconds from the request to the first byte of the answer. */
  readonly firstByteMs: number;
  /** Milliseconds from the request to the end of the answer. */
  readonly totalMs: number;
}

export async function ask({ port, path, json, headers, agent, onData }: Ask): Promise<Reply> {
  const startedAt = performance.now();
  const body = json === undefined ? undefined : JSON.stringify(json);
  const request = httpRequest({
    host: '127.0.0.1',
    port,
    path,
    method: body === undefined ? 'GET' : 'POST',
    headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }) },
    agent: agent ?? false,
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const firstByteMs = performance.now() - startedAt;
  let text = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk;
    onData?.(chunk);
  }
  return { status: response.statusCode ?? 0, body: text, firstByteMs, totalMs: performance.now() - startedAt };
}

/** The same, but an answer other than 200 is an error that shows it. */
export async function askFor200(asked: Ask): Promise<Reply> {
  const reply = await ask(asked);
  if (reply.status !== 200) throw new Error(`expected 200 from ${asked.path}, got ${reply.status}: ${reply.body}`);
  return reply;
}
