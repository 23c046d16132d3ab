/**
 * `npm run demo`: starts examples/bff as production would, with the plugin and everything embedded, shows cold and warm
 * calls, streams, scale-out and reclaim, and stays up for curl until Ctrl-C. With --once it ends after the tour.
 *
 * However it ends, it leaves no process and no file: what it starts is registered for the end before it is started.
 */
import { CartonError, codeOf } from '../lib/support/errors';
import { Example, ExampleHost } from './support/example_host';
import { tour } from './tour/chapters';
import { Cleanup } from './tour/cleanup';
import { portInUse, readOptions, requireFree } from './tour/options';
import { bold, dim, done, duration, line, pending } from './tour/screen';

const WORKERS = 2;
/** Short enough to watch; the default is a minute. */
const IDLE_TIMEOUT_MS = 3_000;
/** Everything has to be gone within a second of Ctrl-C. */
const STOP_MS = 600;
/** How often to look whether npm, which may be killed without a word to us, is still there. */
const PARENT_LOOK_MS = 300;
const EXIT_INTERRUPTED = 130;

const cleanup = new Cleanup();
let isUp = false;

async function main(): Promise<void> {
  const { port, once } = readOptions(process.argv.slice(2));
  await requireFree(port);
  line();
  line(`${bold('egg-carton')}  functions of an Egg application, in processes of their own`);
  line();
  pending('Starting examples/bff in production mode with two workers …');
  const startedAt = performance.now();
  const { example, host } = await start(port);
  done(duration(performance.now() - startedAt));
  await tour({ port, master: host.pid, upstream: example.upstreamUrl, idleTimeoutMs: IDLE_TIMEOUT_MS, signal: cleanup.signal });
  line();
  if (once) return end(0);
  isUp = true;
  invite(port);
}

async function start(port: number): Promise<{ example: Example; host: ExampleHost }> {
  const example = new Example();
  cleanup.add(() => example.remove());
  await example.build(cleanup.signal);
  cleanup.signal.throwIfAborted();
  const host = new ExampleHost(example, { port, workers: WORKERS, carton: { functionDefaults: { idleTimeoutMs: IDLE_TIMEOUT_MS } } });
  cleanup.add(() => host.stop(STOP_MS));
  try {
    await host.ready();
  } catch (error) {
    // Somebody took the port after we had looked.
    throw String(error).includes('EADDRINUSE') ? portInUse(port) : error;
  }
  return { example, host };
}

function invite(port: number): void {
  line(`It stays up. ${dim('Ctrl-C ends it.')}`);
  line();
  line(`curl http://127.0.0.1:${port}/oneapi/home \\`);
  line('     -H \'content-type: application/json\' -d \'["chengdu"]\'');
  line(`curl 'http://127.0.0.1:${port}/fn/home?city=chengdu'`);
  line(`curl -N 'http://127.0.0.1:${port}/fn/recommendations?limit=12'`);
  line(`curl 'http://127.0.0.1:${port}/api/home?city=chengdu'     ${dim('# the controller')}`);
  line();
}

async function end(code: number): Promise<void> {
  await cleanup.run();
  process.exit(code);
}

function fail(error: unknown): void {
  // What fails while everything is being ended fails because of it.
  if (cleanup.signal.aborted) return;
  const code = codeOf(error);
  const text = error instanceof CartonError ? `${code}: ${error.message}` : `The demo failed: ${error instanceof Error ? error.message : String(error)}`;
  process.stderr.write(`${process.stdout.isTTY ? '\n' : ''}${text}\n`);
  void end(1);
}

/** Once everything is up, a signal is the ordinary end. */
async function interrupted(): Promise<void> {
  if (cleanup.signal.aborted) return;
  // The terminal has written ^C at the begin of the line, or wherever the tour was.
  if (process.stdout.isTTY) line();
  await cleanup.run();
  if (isUp) line(dim('Ended; no process is left.'));
  process.exit(isUp ? 0 : EXIT_INTERRUPTED);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void interrupted());
// As of `npm run demo | head`.
process.stdout.on('error', () => void interrupted());
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) void interrupted();
}, PARENT_LOOK_MS).unref();

main().catch(fail);
