/**
 * Ways to end a process, for exits.test.ts: each runs in a fresh Node process and in forks, and must look the same.
 */
import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

const said = (...words: unknown[]): void => console.log(...words);

function listen(): void {
  process.on('beforeExit', (code) => said('beforeExit', code));
  process.on('exit', (code) => said('exit', code, process.exitCode));
}

function thrown(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

/** Enough for V8 to collect all of the heap. */
function litter(): void {
  let garbage: unknown[] = [];
  for (let i = 0; i < 100; i++) garbage = Array.from({ length: 20_000 }, (_, n) => ({ n }));
  console.log(garbage.length);
}

export const CASES: Readonly<Record<string, () => void>> = {
  'nothing to do': () => undefined,
  'nothing to do, with listeners': listen,
  'more work in beforeExit': () => {
    listen();
    process.once('beforeExit', () => setImmediate(() => said('more')));
  },
  'process.exitCode': () => {
    listen();
    process.exitCode = 9;
  },
  'process.exitCode set by an exit listener': () => {
    process.on('exit', () => {
      process.exitCode = 12;
    });
  },
  'process.exit()': () => {
    listen();
    process.exit();
  },
  'process.exit(3)': () => {
    listen();
    process.exit(3);
  },
  'process.exit() with process.exitCode': () => {
    listen();
    process.exitCode = 6;
    process.exit();
  },
  'process.exit() in an exit listener': () => {
    process.on('exit', () => process.exit(8));
    process.on('exit', () => said('not reached'));
  },
  'process.exit() in an exit listener of process.exit()': () => {
    process.on('exit', () => process.exit(8));
    process.exit(2);
  },
  'process.exit() in beforeExit': () => {
    listen();
    process.on('beforeExit', () => process.exit(11));
  },
  'process.reallyExit': () => {
    listen();
    (process as unknown as { reallyExit(code: number): void }).reallyExit(13);
  },
  'an exit code above 255': () => process.exit(257),
  'an emitted exit that is none': () => {
    process.on('exit', (code) => said('heard', code));
    process.emit('exit', 1);
    said('still here');
  },
  'process.emit replaced late, as signal-exit does': () => {
    const { emit } = process;
    process.emit = function (this: unknown, ...args: unknown[]): boolean {
      const heard = Reflect.apply(emit, this, args) as boolean;
      if (args[0] === 'exit') said('after exit', args[1]);
      return heard;
    } as typeof process.emit;
    listen();
  },
  'process.reallyExit replaced': () => {
    const internals = process as unknown as { reallyExit(code: number): void };
    const reallyExit = internals.reallyExit.bind(process);
    internals.reallyExit = (code) => {
      said('really', code);
      reallyExit(code);
    };
    process.exit(4);
  },
  'an uncaught error': () => {
    listen();
    thrown(new TypeError('thrown'));
  },
  'an uncaught error with properties': () => thrown(Object.assign(new Error('thrown'), { code: 'E_CASE', cause: new Error('why') })),
  'an uncaught error and process.exitCode': () => {
    process.exitCode = 5;
    thrown(new Error('thrown'));
  },
  'an uncaught error whose code an exit listener sets': () => {
    process.on('exit', () => {
      process.exitCode = 21;
    });
    thrown(new Error('thrown'));
  },
  'process.exit() in an exit listener after an uncaught error': () => {
    process.on('exit', () => process.exit(22));
    thrown(new Error('thrown'));
  },
  'an uncaught error of a library call': () => setImmediate(() => void JSON.parse('{')),
  'an uncaught null': () => thrown(null),
  'an uncaught string': () => thrown('text'),
  'an uncaught object': () => thrown({ some: 'object' }),
  'an uncaught symbol': () => thrown(Symbol('odd')),
  'an uncaught error in a microtask': () => queueMicrotask(() => thrown(new Error('thrown'))),
  'an uncaught error that is heard': () => {
    listen();
    process.on('uncaughtException', (error, origin) => {
      said('heard', error.message, origin);
      setImmediate(() => said('later'));
    });
    thrown(new Error('thrown'));
  },
  'an uncaught error and process.exit() in its listener': () => {
    listen();
    process.on('uncaughtException', () => process.exit(17));
    thrown(new Error('thrown'));
  },
  'an uncaught error that a monitor sees': () => {
    process.on('uncaughtExceptionMonitor', (error, origin) => said('seen', error.message, origin));
    thrown(new Error('thrown'));
  },
  'an uncaught error that a capture callback takes': () => {
    listen();
    process.setUncaughtExceptionCaptureCallback((error) => said('taken', error.message));
    thrown(new Error('thrown'));
  },
  'an error in an uncaughtException listener': () => {
    listen();
    process.on('uncaughtException', () => {
      throw new Error('second');
    });
    thrown(new Error('first'));
  },
  'an error in an exit listener': () => {
    process.on('exit', () => {
      throw new Error('at the end');
    });
  },
  'an error in an exit listener of process.exit(3)': () => {
    process.on('exit', () => {
      throw new Error('at the end');
    });
    process.exit(3);
  },
  'an error in an exit listener that is heard': () => {
    process.on('uncaughtException', (error) => said('heard', error.message));
    process.on('exit', () => {
      throw new Error('at the end');
    });
  },
  'an error in an exit listener after an uncaught error': () => {
    process.on('exit', () => {
      throw new Error('at the end');
    });
    thrown(new Error('thrown'));
  },
  'the end after a full collection': () => {
    listen();
    litter();
  },
  'a worker that ends by itself after full collections': () => {
    listen();
    litter();
    new Worker(`(${litter.toString()})()`, { eval: true }).once('exit', (code) => said('worker', code));
  },
  'more work for the loop in a late tick of beforeExit': () => {
    listen();
    process.once('beforeExit', () => process.nextTick(() => void Promise.resolve().then(() => process.nextTick(() => setTimeout(() => said('more'), 1)))));
  },
  'an error in beforeExit': () => {
    listen();
    process.on('beforeExit', () => {
      throw new Error('before the end');
    });
  },
  'an error in beforeExit that is heard': () => {
    listen();
    process.on('uncaughtException', (error) => said('heard', error.message));
    process.once('beforeExit', () => {
      throw new Error('before the end');
    });
  },
  'timers and handles without reference': () => {
    listen();
    setInterval(() => undefined, 1000).unref();
  },
  'a signal': () => {
    listen();
    setInterval(() => undefined, 1000);
    process.kill(process.pid, 'SIGTERM');
  },
  'a signal that is heard': () => {
    listen();
    const held = setInterval(() => undefined, 1000);
    process.on('SIGTERM', (name: string, number: number) => {
      said(name, number);
      clearInterval(held);
    });
    process.kill(process.pid, 'SIGTERM');
  },
  'a signal that ends by process.exit()': () => {
    setInterval(() => undefined, 1000);
    process.on('SIGINT', () => process.exit(130));
    process.kill(process.pid, 'SIGINT');
  },
  'process.abort()': () => {
    listen();
    process.abort();
  },
  'a worker that runs at process.exit()': () => {
    listen();
    const worker = new Worker('setInterval(() => {}, 1000); require("node:worker_threads").parentPort.postMessage(1)', { eval: true });
    worker.once('message', () => process.exit(14));
  },
  'a worker that ends by itself': () => {
    listen();
    new Worker('0', { eval: true }).once('exit', (code) => said('worker', code));
  },
  'an uncaught error of a worker': () => {
    listen();
    new Worker('throw new Error("in the worker")', { eval: true });
  },
  'a large text right before process.exit()': () => {
    said('x'.repeat(1_000_000));
    console.error('y'.repeat(300_000));
    process.exit(1);
  },
  'a large text right before the end': () => said('x'.repeat(1_000_000)),
  'a large text right before an uncaught error': () => {
    said('x'.repeat(1_000_000));
    thrown(new Error('thrown'));
  },
  'fs.writeSync right before process.exit()': () => {
    writeSync(1, 'one\n');
    writeSync(2, 'two\n');
    process.exit(1);
  },
};

/** Each runs under each value of --unhandled-rejections. */
export const REJECTIONS: Readonly<Record<string, () => void>> = {
  'an unhandled rejection': () => {
    listen();
    void Promise.reject(new Error('rejected'));
    setTimeout(() => said('later'), 1);
  },
  'an unhandled rejection with a string': () => void Promise.reject('text'),
  'an unhandled rejection that is heard': () => {
    process.on('unhandledRejection', (reason) => said('heard', (reason as Error).message));
    void Promise.reject(new Error('rejected'));
  },
  'an unhandled rejection that is heard as an error': () => {
    process.on('uncaughtException', (error, origin) => said('heard', error.message, origin));
    void Promise.reject(new Error('rejected'));
  },
  'an unhandled rejection that is handled late': () => {
    listen();
    process.on('rejectionHandled', () => said('handled'));
    const rejected = Promise.reject(new Error('rejected'));
    setTimeout(() => rejected.catch(() => said('caught')), 1);
  },
};

// Also the script of the fresh process.
if (require.main === module) ({ ...CASES, ...REJECTIONS })[process.argv[2] ?? '']?.();
