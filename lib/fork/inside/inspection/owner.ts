/**
 * Stacks of the moment in which something was opened, and who that was: the first frame outside Node and outside this
 * package. Runs in templates.
 */
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Unread until somebody asks: V8 makes its text, or the call sites, at the first look. */
export interface Stack {
  stack?: unknown;
  /** Of the moment that asked for this one, where Node puts off what it is asked for. */
  readonly before: Stack | undefined;
  /** How many are before it. */
  readonly depth: number;
}

interface Frame {
  readonly file: string;
  readonly line: number;
}

/** Deep enough to get out of Node's own frames and a client library's. */
const FRAMES = 24;
/** Moments in a row: enough for a lookup before a connection, and no chain that grows with each turn of a loop. */
const DEPTH_LIMIT = 6;
/** Compiled code of this package. */
const OURS = join(__dirname, '../../..') + sep;

/** Costs a few microseconds: frames are gathered, nothing is formatted. */
export function stackHere(before?: Stack): Stack {
  const holder: Stack = before === undefined || before.depth >= DEPTH_LIMIT ? { before: undefined, depth: 0 } : { before, depth: before.depth + 1 };
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES;
  Error.captureStackTrace(holder, stackHere);
  Error.stackTraceLimit = limit;
  return holder;
}

/**
 * `file:line`, with the package's name in front for a file of one, and then the first frame outside packages too:
 * `mysql2 …/node_modules/mysql2/lib/base/connection.js:99 for …/app.js:12`. Null if nobody but Node is on the stack.
 */
export function ownerOf(stack: Stack): string | null {
  const frames = framesOf(stack);
  const first = frames[0];
  if (first === undefined) return stack.before === undefined ? null : ownerOf(stack.before);
  const name = packageOf(first.file);
  if (name === null) return told(first);
  const user = frames.find(({ file }) => packageOf(file) === null);
  return `${name} ${told(first)}${user === undefined ? '' : ` for ${told(user)}`}`;
}

/** Names of the packages on the stack. */
export function packagesOf(stack: Stack): string[] {
  const before = stack.before === undefined ? [] : packagesOf(stack.before);
  return [...framesOf(stack).flatMap(({ file }) => packageOf(file) ?? []), ...before];
}

function told({ file, line }: Frame): string {
  return `${file}:${line}`;
}

function packageOf(file: string): string | null {
  return /.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/.exec(file)?.[1] ?? null;
}

/** Frames outside Node and this package. Their text would be whatever the application's `prepareStackTrace` makes of it. */
function framesOf(stack: Stack): Frame[] {
  const prepare = Error.prepareStackTrace;
  Error.prepareStackTrace = (_error, sites) => sites.map((site) => ({ file: site.getFileName() ?? '', line: site.getLineNumber() ?? 0 }));
  let frames: unknown;
  try {
    frames = stack.stack;
  } finally {
    Error.prepareStackTrace = prepare;
  }
  if (!Array.isArray(frames)) return [];
  return (frames as Frame[]).map(({ file, line }) => ({ file: file.startsWith('file://') ? fileURLToPath(file) : file, line }))
    .filter(({ file }) => file.startsWith(sep) && !file.startsWith(OURS));
}
