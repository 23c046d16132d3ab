/**
 * The log files of an Egg application in a function process: nothing ticks while nothing is logged, a template forks
 * with nothing unwritten, and a fork writes to the files that are there now. Runs in function processes and templates.
 */
import { fstatSync, statSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { onCheckpoint } from '../../fork/inside/hooks';
import type { EggApplication, EggTransport } from './egg_types';

/** A transport that gathers lines and writes them once in a while; what these files use of egg-logger. */
interface BufferTransport extends EggTransport {
  readonly options: EggTransport['options'] & { readonly flushInterval?: number };
  flush(): void;
  _write(line: unknown): void;
  _closeInterval(): void;
}

interface FileTransport extends EggTransport {
  readonly options: EggTransport['options'] & { readonly file: string };
  reload(): void;
}

/** To be called first of all: its hooks run last before a checkpoint, and first after it. */
export function keepLogFiles(application: () => EggApplication | undefined): void {
  onCheckpoint({
    async beforeCheckpoint() {
      const app = application();
      if (app !== undefined) await writeOut(app);
    },
    afterRestore() {
      const app = application();
      if (app !== undefined) follow(app);
    },
  });
}

export function flushLogsOnDemand(app: EggApplication): void {
  for (const transport of transportsOf(app)) if (isBuffer(transport)) flushOnDemand(transport);
}

/** Resolves once all that was logged is in the files. */
async function writeOut(app: EggApplication): Promise<void> {
  const transports = transportsOf(app);
  for (const transport of transports) if (isBuffer(transport)) transport.flush();
  await Promise.all(transports.flatMap(({ _stream: stream }) => (stream ? [written(stream)] : [])));
}

/** Whoever rotates logs renames the files, and tells processes that live, of which a template at rest is none. */
function follow(app: EggApplication): void {
  for (const transport of transportsOf(app)) if (isFile(transport) && wasRotated(transport)) transport.reload();
}

function transportsOf(app: EggApplication): EggTransport[] {
  return [...app.loggers.values()].flatMap((logger) => [...logger.values()]);
}

const FLUSH_MS = 1_000;

/** egg-logger looks once a second whether there is anything to write: for a thousand idle instances that is work. */
function flushOnDemand(transport: BufferTransport): void {
  transport._closeInterval();
  const write = transport._write.bind(transport);
  let flush: NodeJS.Timeout | undefined;
  transport._write = (line) => {
    write(line);
    flush ??= setTimeout(() => {
      flush = undefined;
      transport.flush();
    }, transport.options.flushInterval ?? FLUSH_MS);
  };
}

/** What was written before it has reached the file when an empty write has. */
function written(stream: Writable): Promise<void> {
  return new Promise((resolve) => (stream.writable ? stream.write('', () => resolve()) : resolve()));
}

function wasRotated({ options: { file }, _stream: stream }: FileTransport): boolean {
  const fd = (stream as { fd?: number | null } | null | undefined)?.fd;
  if (typeof fd !== 'number') return false;
  return statSync(file, { throwIfNoEntry: false })?.ino !== fstatSync(fd).ino;
}

function isBuffer(transport: EggTransport): transport is BufferTransport {
  const { flush, _write: write, _closeInterval: closeInterval } = transport as Partial<BufferTransport>;
  return typeof flush === 'function' && typeof write === 'function' && typeof closeInterval === 'function';
}

function isFile(transport: EggTransport): transport is FileTransport {
  return typeof (transport as Partial<FileTransport>).reload === 'function' && typeof (transport as Partial<FileTransport>).options?.file === 'string';
}
