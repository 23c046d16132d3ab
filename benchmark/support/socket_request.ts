/**
 * Requests over HTTP to a server on a unix socket. Runs wherever one is asked.
 */
import { once } from 'node:events';
import { request as httpRequest, type Agent, type IncomingMessage } from 'node:http';

export interface SocketAsk {
  readonly socketPath: string;
  readonly path: string;
  /** Posted as JSON. */
  readonly json: unknown;
  /** Keeps connections. Without it each request opens its own. */
  readonly agent?: Agent;
}

/** The body of the answer; anything but a 200 is an error that shows it. */
export async function askSocket({ socketPath, path, json, agent }: SocketAsk): Promise<string> {
  const body = JSON.stringify(json);
  const request = httpRequest({ socketPath, path, method: 'POST', headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }, agent: agent ?? false });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
  if (response.statusCode !== 200) throw new Error(`expected 200 from ${path}, got ${response.statusCode}: ${text}`);
  return text;
}
