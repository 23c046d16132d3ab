/**
 * HTTP over a bare socket: sends whatever bytes it is given, leaves when it is told, and reads the answers that come.
 */
import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface RawExchange {
  /** Written one after the other, each in a write of its own. */
  readonly writes: readonly Buffer[];
  /** Answers to wait for; the connection is closed when they are there, or when the server closes it. */
  readonly answers: number;
  /** Leaves after the last write instead of waiting: `reset` at once, `end` by a half-close. */
  readonly leave?: 'reset' | 'end';
  /** Methods of the requests whose answers have no body. */
  readonly headless?: boolean;
}

/** Only turns a hang into a message: far beyond what a busy machine needs. */
const HANG_MS = 25_000;

/** Resolves with the answers that came whole. Rejects where neither answers nor a close came. */
export function exchange(port: number, { writes, answers, leave, headless = false }: RawExchange): Promise<RawAnswer[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let received = Buffer.alloc(0);
    const hang = setTimeout(() => {
      socket.destroy();
      reject(new Error(`neither an answer nor a close; so far: ${JSON.stringify(received.toString('latin1').slice(0, 500))}`));
    }, HANG_MS);
    const finish = (): void => {
      clearTimeout(hang);
      resolve(parseAnswers(received, headless));
    };
    socket.on('connect', () => void send(writes, (bytes) => socket.write(bytes)).then(() => {
      if (leave === 'reset') socket.resetAndDestroy();
      if (leave === 'end') socket.end();
    }));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (leave === undefined && parseAnswers(received, headless).length >= answers) socket.destroy();
    });
    // A server that has refused closes while we still write.
    socket.on('error', () => socket.destroy());
    socket.on('close', finish);
  });
}

async function send(writes: readonly Buffer[], write: (bytes: Buffer) => void): Promise<void> {
  for (const bytes of writes) {
    write(bytes);
    if (writes.length > 1) await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** All final answers that are whole; those that only say "go on" are passed over. */
export function parseAnswers(bytes: Buffer, headless: boolean): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let at = 0;
  for (;;) {
    const headEnd = bytes.indexOf('\r\n\r\n', at);
    if (headEnd === -1) return answers;
    const [first = '', ...lines] = bytes.toString('latin1', at, headEnd).split('\r\n');
    const status = Number(first.split(' ')[1]);
    const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
    at = headEnd + 4;
    if (status < 200) continue;
    const body = headless || status === 204 || status === 304 ? { text: '', end: at } : bodyOf(bytes, at, headers);
    if (body === undefined) return answers;
    answers.push({ status, headers, body: body.text });
    at = body.end;
  }
}

function bodyOf(bytes: Buffer, start: number, headers: ReadonlyMap<string, string>): { text: string; end: number } | undefined {
  if (headers.get('transfer-encoding') === 'chunked') return chunkedBody(bytes, start);
  const length = headers.has('content-length') ? Number(headers.get('content-length')) : 0;
  const end = start + length;
  return end > bytes.length ? undefined : { text: bytes.toString('utf8', start, end), end };
}

function chunkedBody(bytes: Buffer, start: number): { text: string; end: number } | undefined {
  const parts: Buffer[] = [];
  for (let at = start; ;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const end = lineEnd + 2 + size + 2;
    if (end > bytes.length) return undefined;
    if (size === 0) return { text: Buffer.concat(parts).toString('utf8'), end };
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = end;
  }
}
